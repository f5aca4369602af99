#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: lua5.4 ocaml
lua5.4 -e 'local t = {} for i = 1, 2000000 do t[i % 7919] = (t[i % 7919] or 0) + i % 13 end local s = 0 for _, v in pairs(t) do s = s + v end print(s) local co = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i) end end) for i = 1, 5 do print(co()) end local p = io.popen("sleep 0.3; echo hi") print(p:read("a")) p:close()'
cat > o.ml <<O
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
let () = for i = 20 to 27 do Printf.printf "%d %d\n%!" i (fib i) done; let h = Hashtbl.create 10 in for i = 1 to 300000 do Hashtbl.replace h (i mod 5003) (string_of_int i) done; Printf.printf "%d\n" (Hashtbl.length h); exit 29
O
ocaml o.ml
