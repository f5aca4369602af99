#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: Rscript
exec Rscript -e 'set.seed(1); for (i in 1:25) { m <- matrix(rnorm(160000), 400); cat(i, round(sum(solve(m + diag(400) * 50)), 8), "\n") }; x <- system("sleep 0.2; echo hi", intern = TRUE); print(x); library(parallel); print(unlist(mclapply(1:8, function(i) { set.seed(i); mean(sort(runif(2e5))) }, mc.cores = 2))); f <- file("o.txt", "w"); for (i in 1:500) { writeLines(as.character(i), f); Sys.sleep(0.002) }; close(f); quit(status = 3)'
