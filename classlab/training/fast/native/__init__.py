"""The native step: forward, backward and update of one network in C, written for its sizes.

`stages.py` reads a network as stages, each a convolution or linear layer with what follows it, or says why it cannot.
`step_layout.py` lays out the step's memory. `step_passes.py` and `step_source.py` write the C source of the step, one
call a line, with every size a number. `classlab doctor` says where the sources lie, to be read. `kernels.c` is what
they call. `library.py` has a compiler build the source, some 3 seconds, once for a network, a batch size and a
processor, and keeps the result. `native_step.py` puts the weights in place, calls it, and writes the weights back after
each epoch. `decision.py` chooses it where the training is long enough and the step was measured to be faster on this
machine. `native_evaluation.py` does the same for the answers after each epoch, by the forward kernels. `trial.py` tries
both.

Why it is faster. A library's convolution is made for many channels; a network's 16 fill a register or two. Between its
calls every map is written to memory and read again: for the norm's mean, then for the norm, the ReLU, the pool, and
their gradients. Here a stage keeps one map, the sums of its convolution (z in kernels.c). Everything else is recomputed
when it is needed, on numbers that are in the cache.

What a kernel may cost, reckoned for one core of an AMD EPYC of Zen 4 at 3.6 GHz. Each cycle it does one instruction on
16 floats: 16 multiplications and additions, or 32 of bf16 numbers. So 115 GFLOP/s, and 233 in bf16.

- Products (product, slope): multiply-adds of the layer, divided by 32 in bf16, 16 in fp32. The second convolution of
  era_s6, 1.33 million for an image, takes 11.5 µs forward; measured 13.1, of which the map before it is 1.
- A layer of up to 8 outputs uses vectors of 8, of which the processor does two a cycle.
- What is done to each number (activate, differentiate): some 10 instructions for 16 numbers forward, 20 backward, and
  for a max pool twice that. Of the step of squeeze 30 %.
- Norms add up their sums in the products' last lines, where they cost two instructions for 16 numbers.
- Steps of up to 8 images read each weight of a linear layer once. It serves its gradient, its update and the gradient
  of the inputs: two loads and two stores for 16 numbers. LeNet's 59,000 of them take 11 µs of its 60.

The order of all sums is fixed for a number of threads, so a run gives the same bits each time, and on resume. The
digest of the library is in its environment.json.
"""
