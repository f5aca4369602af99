#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# prepares
# needs: gfortran
if [ "$1" = prepare ]; then
cat > o.f90 <<C
program p
 integer :: i, it; double precision :: a(300000), s
 a = 0; open(10, file='fort.out')
 do it = 1, 250
  !$omp parallel do num_threads(3)
  do i = 1, 300000
   a(i) = a(i) * 0.99d0 + sin(dble(mod(i * it, 1009)))
  end do
  if (mod(it, 10) == 0) then
   s = sum(a); write(10, '(i5,f20.6)') it, s; print '(i5,f20.6)', it, s; flush(10)
  end if
 end do
 stop 21
end program
C
gfortran -O2 -fopenmp o.f90 -o o; exit
fi
exec ./o
