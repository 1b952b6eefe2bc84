#!/bin/sh
export A=1
B="${A:-2} $A"
if x; then
C=3
fi
D=$(date)
