#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# prepares
# needs: java javac
# ignores: hsperf*
if [ "$1" = prepare ]; then
cat > M.java <<J
import java.util.*; import java.util.concurrent.*;
public class M { public static void main(String[] a) throws Exception {
 ExecutorService p = Executors.newFixedThreadPool(4); List<Future<Long>> fs = new ArrayList<>();
 for (int i = 0; i < 90; i++) { final int k = i; fs.add(p.submit(() -> { Map<Integer,String> m = new HashMap<>(); long s = 0; Random r = new Random(k);
  for (int j = 0; j < 60000; j++) { m.put(r.nextInt(9000), "v" + j); s += j % 5000 == 0 && m.hashCode() % 7 == 0 ? 1 : j % 3; } for (String v : m.values()) s += v.length(); return s; })); }
 long t = 0; for (Future<Long> f : fs) { long v = f.get(); t += v; System.out.println(v); } System.gc(); Thread.sleep(300); System.out.println(t); p.shutdown();
 Process q = new ProcessBuilder("sh", "-c", "sleep 0.2; echo child; exit 4").start(); System.out.print(new String(q.getInputStream().readAllBytes())); System.out.println(q.waitFor()); System.exit(6); } }
J
javac M.java; exit
fi
exec java -Xmx256m M
