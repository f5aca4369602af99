#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: openssl
head -c 60000000 /dev/zero > z; openssl enc -aes-256-ctr -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0 -in z | openssl dgst -sha256
openssl speed -seconds 1 -evp sha256 -bytes 1024 > /dev/null 2>&1; echo $?; openssl prime -generate -bits 1024 | wc -l; rm z
