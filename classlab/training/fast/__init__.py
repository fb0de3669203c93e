"""What makes training fast. Nobody needs any of it to understand the loop, which is all in training/train.py.

Deleting this folder, and the lines that call it, would leave the same results but slower: the same numbers up to
rounding, save that torch's dropout draws other masks. Times are from docs/log.md, 2026-11-21, on two shared cores of
an AMD EPYC with torch 2.13, before and after in one run.

native/: the whole step in C, written for the network's own sizes. The step of squeeze at batch 256 takes 6.5 ms instead
of 19.4 (two threads, bf16), LeNet's at batch 1 60 µs instead of 206 (compiled by torch), docs/log.md, 2026-11-30.

step.py: takes the step and the evaluation in C, where a run's settings say so.

columns.py: convolutions of up to 3 channels into up to 12, two columns of pixels at a time, so that registers are
full. LeNet's step at batch 1000: 32.6 ms instead of 38.5; 50,000 images evaluated in 1.45 s instead of 2.2 s.

pooling.py: max pooling of 2 × 2 as two maxima of halves, with the same bits. LeNet evaluated: 30,000 images/s instead
of 20,400; its step at batch 1000: 26,900 images/s instead of 24,700.

dropout.py: masks from 16 random bits a number, where torch draws a number in double precision. The step of eva7-net8
was 1.6 times as fast for it, and another 1.2 times (52 ms instead of 62) once the mask was made without a comparison.

replacements.py: puts the layers of columns.py, pooling.py and dropout.py in the place of torch's. One small table.

allocator.py: keeps the memory that a step frees for the next one. A step of eva7-net8 takes 62 ms instead of 80, one
of era-s6 124 ms instead of 135.

cores.py: whether a core is idle, on which a thread may prepare the next images. The whole loop of prml-mlp: 79,500
images/s instead of 58,200.

machine.py: measures once what this machine can do, so that settings.py can choose threads and precision by it. One
thread instead of two for small steps took digits-quick from 82 s to 3 s on a busy machine.
"""
