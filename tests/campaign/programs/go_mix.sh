#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# prepares
# needs: go
# ignores: .cache/* go/* .config/* prog go-build*
export GOCACHE=/tmp/campaign-gocache-$(id -u) GOFLAGS=-mod=mod GO111MODULE=off
if [ "$1" = prepare ]; then
cat > m.go <<G
package main
import ("fmt"; "sync"; "net"; "time"; "crypto/sha256"; "os/exec"; "os"; "bufio")
func main() { var wg sync.WaitGroup; out := make([]string, 16)
 for g := 0; g < 16; g++ { wg.Add(1); go func(g int) { defer wg.Done(); h := []byte{byte(g)}; for i := 0; i < 150000; i++ { s := sha256.Sum256(h); h = s[:] }; out[g] = fmt.Sprintf("%x", h[:4]) }(g) }
 wg.Wait(); fmt.Println(out)
 l, _ := net.Listen("tcp", "127.0.0.1:0"); go func() { c, _ := l.Accept(); s := bufio.NewScanner(c); for s.Scan() { fmt.Fprintln(c, "re", s.Text()) } }()
 c, _ := net.Dial("tcp", l.Addr().String()); r := bufio.NewReader(c); for i := 0; i < 50; i++ { fmt.Fprintln(c, i); t, _ := r.ReadString('\n'); fmt.Print(t); time.Sleep(10 * time.Millisecond) }
 for i := 0; i < 30; i++ { b, e := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.02; echo %d", i)).Output(); fmt.Print(string(b)); if e != nil { fmt.Println(e) } }
 t := time.NewTicker(20 * time.Millisecond); for i := 0; i < 20; i++ { <-t.C }; fmt.Println("ticked"); os.Exit(13) }
G
go build -o prog m.go; exit
fi
exec ./prog
