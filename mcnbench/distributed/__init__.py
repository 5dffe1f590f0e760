"""Data-parallel training: ranks share a batch, and their gradients are summed by torch.distributed.

Of a batch of N images rank r of P has N_r. It goes through them in sub-batches, one after the other, so that memory is
bounded; its gradient is that of its part of the loss, the mean over the N images,

    dw_r = 1/N  sum over its images of the gradient of their losses,        dw = dw_0 + ... + dw_{P-1}

so that parts of unequal size need no weights of their own. The sum is an all-reduce, Gloo's between processors and
NCCL's between GPUs, bucket by bucket while the backward pass goes on, and every rank then takes the same step. Ranks of
one machine read each other's memory instead (neighbours.py), and divide the update of large parameters.

Batch normalisation takes its moments over the images of one sub-batch on one rank, as MatConvNet and PyTorch's
DistributedDataParallel do: a dialect, in which a network's gradient depends on how the batch is divided.
"""
