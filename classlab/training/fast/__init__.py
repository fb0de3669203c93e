"""What makes training fast. Nobody needs any of it to understand the loop, which is all in training/train.py.

Deleting this folder, and the lines that call it, would leave the same results but slower: the same numbers up to
rounding, save that torch's dropout draws other masks. Times are from docs/log.md, 2026-11-21, on two shared cores of
an AMD EPYC with torch 2.13, before and after in one run.

native/: the whole step in C, written for the network's own sizes. The step of squeeze at batch 256 takes 6.5 ms instead
of 19.4 (two threads, bf16), LeNet's at batch 1 60 µs instead of 206 (compiled), docs/log.md, 2026-11-30.

step.py: forward, backward and update as one compiled graph, for small steps of which there are many. Two epochs of
LeNet at batch 4, 25,000 steps, take 26 s instead of 55 s, the seconds of compiling included.

functional.py: a network's step as a pure function of tensors, the form in which step.py can compile it. It gains
nothing by itself; most of it is about batch norm and dropout, which change or draw something in every forward pass.

updates.py: the optimizers as pure functions, so that the update is part of the same graph. With one image a step the
gradient of a linear layer is then never written to memory, see decompositions.py.

decompositions.py: other forms of convolutions and matrix products in a compiled step of one to four images, for which
a library's call costs more than its arithmetic. LeNet's compiled step at batch 1: 3,389 images/s instead of 2,395; at
batch 4: 560 µs instead of 700; a perceptron 3072-120-84-10 at batch 1: 8,374 images/s instead of 4,164.

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
