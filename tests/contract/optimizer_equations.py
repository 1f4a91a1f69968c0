"""Optimizers as their papers print them, in float64: what the rows that torch does not have are held to.

Every function yields the weights after each step. Where the row's `source` names a deviation from the paper, the
deviation stands here too, with the line above it saying so.

Letters: w weight, g gradient, m its running mean, v the running mean of its square, t the number of a step from 1,
eta the learning rate of the step.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

Weights = list[Tensor]
Loss = Callable[[Weights, int], Tensor]  # of the weights, in the step of that index
Path = Iterator[Weights]


def lion(
    loss: Loss, w: Weights, factors: Sequence[float], *, lr: float, beta1: float, beta2: float, weight_decay: float
) -> Path:
    """Chen et al. 2023, algorithm 2."""
    m = _zeros(w)
    for step, factor in enumerate(factors):
        eta = lr * factor
        for i, g in enumerate(_gradients(loss, w, step)):
            c = beta1 * m[i] + (1 - beta1) * g
            w[i] = w[i] - eta * (c.sign() + weight_decay * w[i])
            m[i] = beta2 * m[i] + (1 - beta2) * g
        yield w


def lamb(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
) -> Path:
    """You et al. 2020, algorithm 2 without bias correction (appendix E), phi(z) = min(z, 10)."""
    m, v = _zeros(w), _zeros(w)
    for step, factor in enumerate(factors):
        eta = lr * factor
        for i, g in enumerate(_gradients(loss, w, step)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            r = m[i] / (v[i].sqrt() + epsilon)
            # The paper adds weight_decay * w to r; here the weights shrink before their size is taken.
            w[i] = (1 - eta * weight_decay) * w[i]
            w[i] = w[i] - eta * w[i].norm().clamp(max=10) / (r.norm() + epsilon) * r
        yield w


def shampoo(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    momentum: float,
    precondition_every: int,
    matrix_epsilon: float,
    weight_decay: float,
) -> Path:
    """Gupta, Koren and Singer 2018, algorithm 2: tensors of order k, powers -1/2k."""
    H = [[matrix_epsilon * _identity(size) for size in each.shape] for each in w]
    # The paper has powers of H from the first step on; here they are zero, and weights rest, until they are first due.
    powers = [[0 * each for each in matrices] for matrices in H]
    last = None
    for step, factor in enumerate(factors):
        gradients = _gradients(loss, w, step)
        last = last or gradients
        for i, g in enumerate(gradients):
            # The paper's momentum is that of gradients; here the last step, as preconditioned, is mixed into it.
            g = (1 - momentum) * g + momentum * last[i] + weight_decay * w[i]
            change = g
            for axis in range(g.ndim):
                unfolded = g.movedim(axis, 0).flatten(1) if g.ndim > 1 else g[:, None]
                H[i][axis] = H[i][axis] + unfolded @ unfolded.T
                if (step + 1) % precondition_every == 0:
                    powers[i][axis] = _matrix_power(H[i][axis], -1 / (2 * g.ndim))
                change = _multiply_axis(powers[i][axis], change, axis)
            last[i] = change
            w[i] = w[i] - lr * factor * change
        yield w


def soap(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    precondition_every: int,
    epsilon: float,
    weight_decay: float,
) -> Path:
    """Vyas et al. 2024, algorithms 3 and 4, one basis per axis; Adam for vectors."""
    m, v = _zeros(w), _zeros(w)
    axes = [range(each.ndim) if each.ndim > 1 else () for each in w]
    # The paper leaves the start open; here the first gradient gives the bases and changes no weight.
    L = [[(1 - beta2) * _second_moment(g, axis) for axis in axes[i]] for i, g in enumerate(_gradients(loss, w, 0))]
    Q = [[torch.linalg.eigh(each).eigenvectors for each in matrices] for matrices in L]
    yield w
    for t, factor in enumerate(factors[1:], start=1):
        eta = lr * factor
        for i, g in enumerate(_gradients(loss, w, t)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * _rotate(g, Q[i], axes[i]) ** 2
            # The paper leaves out bias correction; here it is Adam's, with epsilon beside the uncorrected root.
            corrected = eta * math.sqrt(1 - beta2**t) / (1 - beta1**t)
            N = _rotate(m[i], Q[i], axes[i]) / (v[i].sqrt() + epsilon)
            w[i] = w[i] - corrected * _rotate(N, [each.T for each in Q[i]], axes[i])
            w[i] = (1 - eta * weight_decay) * w[i]
            L[i] = [beta2 * L[i][axis] + (1 - beta2) * _second_moment(g, axis) for axis in axes[i]]
            if t % precondition_every == 0:
                for axis in axes[i]:
                    S = L[i][axis] @ Q[i][axis]
                    # Falling order of the estimated eigenvalues, in which QR takes the columns; v follows its columns.
                    order = (Q[i][axis] * S).sum(0).argsort(descending=True)
                    v[i] = v[i].index_select(axis, order)
                    Q[i][axis] = torch.linalg.qr(S[:, order]).Q
        yield w


def sophia(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    clip_threshold: float,
    hessian_every: int,
    epsilon: float,
    weight_decay: float,
) -> Path:
    """Liu et al. 2023, algorithm 3 as in the paper's first version, with algorithm 1 (Hutchinson)."""
    m, h = _zeros(w), _zeros(w)
    for step, factor in enumerate(factors):
        eta = lr * factor
        gradients = _gradients(loss, w, step)
        if step % hessian_every == 0:
            for i, estimate in enumerate(_hutchinson(loss, w, step, torch.randn_like)):
                h[i] = beta2 * h[i] + (1 - beta2) * estimate
        for i, g in enumerate(gradients):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            w[i] = w[i] - eta * weight_decay * w[i]
            # Later versions divide by max(gamma h, epsilon) and clip to 1.
            w[i] = w[i] - eta * (m[i] / h[i].clamp(min=epsilon)).clamp(-clip_threshold, clip_threshold)
        yield w


def adahessian(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    hessian_every: int,
    epsilon: float,
    weight_decay: float,
) -> Path:
    """Yao et al. 2021, algorithm 1 without averaging over kernels, Hessian power 1."""
    m, v = _zeros(w), _zeros(w)
    for step, factor in enumerate(factors):
        eta, t = lr * factor, step + 1
        gradients = _gradients(loss, w, step)
        if step % hessian_every == 0:
            for i, D in enumerate(_hutchinson(loss, w, step, lambda like: 2.0 * torch.randint_like(like, 0, 2) - 1)):
                v[i] = beta2 * v[i] + (1 - beta2) * D**2
        for i, g in enumerate(gradients):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            # The paper corrects by the number of estimates; here by that of steps, which is the same with one per step.
            root = (v[i] / (1 - beta2**t)).sqrt()
            w[i] = w[i] - eta * weight_decay * w[i]
            w[i] = w[i] - eta * m[i] / (1 - beta1**t) / (root + epsilon)
        yield w


def schedule_free_sgd(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    evaluated: bool = False,
) -> Path:
    """Defazio et al. 2024, equations 2 to 4, with weight decay at y as in algorithm 1; yields y, or x if evaluated."""
    for y, x in _schedule_free(loss, w, factors, lr, momentum, weight_decay, lambda _i, g, _t: g):
        yield x if evaluated else y


def schedule_free_adamw(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
    evaluated: bool = False,
) -> Path:
    """Defazio et al. 2024, algorithm 1; yields y, or x if evaluated."""
    v = _zeros(w)

    def scale(i: int, g: Tensor, t: int) -> Tensor:
        v[i] = beta2 * v[i] + (1 - beta2) * g**2
        return g / ((v[i] / (1 - beta2**t)).sqrt() + epsilon)

    for y, x in _schedule_free(loss, w, factors, lr, beta1, weight_decay, scale):
        yield x if evaluated else y


def prodigy(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    d0: float,
    d_coef: float,
    epsilon: float,
    weight_decay: float,
) -> Path:
    """Mishchenko and Defazio 2024, algorithm 4, with AdamW's weight decay."""
    start = list(w)
    m, v, s = _zeros(w), _zeros(w), _zeros(w)
    r, d, root = 0.0, d0, math.sqrt(beta2)
    for step, factor in enumerate(factors):
        eta = lr * factor
        gradients = _gradients(loss, w, step)
        for i, g in enumerate(gradients):
            m[i] = beta1 * m[i] + (1 - beta1) * d * g
            v[i] = beta2 * v[i] + (1 - beta2) * (d * g) ** 2
            s[i] = root * s[i] + (1 - root) * eta * d**2 * g
        product = sum(float((g * (start[i] - w[i])).sum()) for i, g in enumerate(gradients))
        r = root * r + (1 - root) * eta * d**2 * product
        old, d = d, max(d, d_coef * r / float(sum(each.abs().sum() for each in s)))
        for i in range(len(w)):
            w[i] = w[i] - eta * old * weight_decay * w[i]
            # The paper multiplies epsilon by the old guess, here it is the new one.
            w[i] = w[i] - eta * old * m[i] / (v[i].sqrt() + d * epsilon)
        yield w


def adan(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    epsilon: float,
    weight_decay: float,
) -> Path:
    """Xie et al. 2024, algorithm 1 without restarts; beta is one minus the paper's."""
    m, v, n = _zeros(w), _zeros(w), _zeros(w)
    last = None
    for step, factor in enumerate(factors):
        eta, t = lr * factor, step + 1
        gradients = _gradients(loss, w, step)
        last = last or gradients
        for i, g in enumerate(gradients):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * (g - last[i])
            n[i] = beta3 * n[i] + (1 - beta3) * (g + beta2 * (g - last[i])) ** 2
            # The paper's means begin with the first gradient; here, as in its authors' code, with zero, and corrected.
            rate = eta / ((n[i] / (1 - beta3**t)).sqrt() + epsilon)
            w[i] = w[i] - rate * (m[i] / (1 - beta1**t) + beta2 * v[i] / (1 - beta2**t))
            w[i] = w[i] / (1 + weight_decay * eta)
        last = gradients
        yield w


def sam(
    loss: Loss, w: Weights, factors: Sequence[float], *, lr: float, rho: float, momentum: float, weight_decay: float
) -> Path:
    """Foret et al. 2021, algorithm 1 with equation 2 for p = 2, around SGD with momentum."""
    m = _zeros(w)
    for step, factor in enumerate(factors):
        gradients = _gradients(loss, w, step)
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        worst = [each + rho * g / norm for each, g in zip(w, gradients, strict=True)]
        for i, g in enumerate(_gradients(loss, worst, step)):
            m[i] = momentum * m[i] + g + weight_decay * w[i]
            w[i] = w[i] - lr * factor * m[i]
        yield w


def muon(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    *,
    lr: float,
    momentum: float,
    vector_lr: float,
    weight_decay: float,
) -> Path:
    """Jordan et al. 2024, with Nesterov momentum; Kingma and Ba 2015, algorithm 1, for vectors."""
    B, m, v = _zeros(w), _zeros(w), _zeros(w)
    for step, factor in enumerate(factors):
        t = step + 1
        for i, g in enumerate(_gradients(loss, w, step)):
            if g.ndim > 1:
                eta = lr * factor
                B[i] = momentum * B[i] + g
                orthogonal = _newton_schulz((g + momentum * B[i]).flatten(1))
                change = math.sqrt(max(1, orthogonal.shape[0] / orthogonal.shape[1])) * orthogonal.reshape(g.shape)
            else:
                eta = vector_lr * factor
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g**2
                change = m[i] / (1 - 0.9**t) / ((v[i] / (1 - 0.999**t)).sqrt() + 1e-8)
            w[i] = (1 - eta * weight_decay) * w[i] - eta * change
        yield w


EQUATIONS: dict[str, Callable[..., Path]] = {
    each.__name__: each
    for each in (
        lion,
        lamb,
        shampoo,
        soap,
        sophia,
        adahessian,
        schedule_free_sgd,
        schedule_free_adamw,
        prodigy,
        adan,
        sam,
        muon,
    )
}


def _schedule_free(
    loss: Loss,
    w: Weights,
    factors: Sequence[float],
    lr: float,
    beta: float,
    weight_decay: float,
    scale: Callable[[int, Tensor, int], Tensor],
) -> Iterator[tuple[Weights, Weights]]:
    """Where the gradient is taken, y, and the average, x, after each step of z."""
    x, y, z = list(w), list(w), list(w)
    sum_of_squares = 0.0
    for step, factor in enumerate(factors):
        eta = lr * factor
        sum_of_squares += eta**2
        c = eta**2 / sum_of_squares
        for i, g in enumerate(_gradients(loss, y, step)):
            z[i] = z[i] - eta * (scale(i, g, step + 1) + weight_decay * y[i])
            x[i] = (1 - c) * x[i] + c * z[i]
            y[i] = (1 - beta) * z[i] + beta * x[i]
        yield y, x


def _zeros(w: Weights) -> Weights:
    return [torch.zeros_like(each) for each in w]


def _identity(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


def _gradients(loss: Loss, w: Weights, step: int) -> Weights:
    leaves = [each.detach().requires_grad_() for each in w]
    return list(torch.autograd.grad(loss(leaves, step), leaves))


def _hutchinson(loss: Loss, w: Weights, step: int, draw: Callable[[Tensor], Tensor]) -> Weights:
    """Estimates of the Hessian's diagonal, u * (H u), with u drawn in fp32 as an optimizer of fp32 weights does."""
    leaves = [each.detach().requires_grad_() for each in w]
    gradients = torch.autograd.grad(loss(leaves, step), leaves, create_graph=True)
    u = [draw(each.detach().float()).double() for each in w]
    products = torch.autograd.grad(gradients, leaves, u)
    return [each * product for each, product in zip(u, products, strict=True)]


def _matrix_power(matrix: Tensor, power: float) -> Tensor:
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix)
    return eigenvectors @ eigenvalues.pow(power).diag() @ eigenvectors.T


def _multiply_axis(matrix: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """The matrix times each column along an axis of a tensor."""
    return torch.tensordot(matrix, tensor, dims=([1], [axis])).movedim(0, axis)


def _second_moment(g: Tensor, axis: int) -> Tensor:
    unfolded = g.movedim(axis, 0).flatten(1)
    return unfolded @ unfolded.T


def _rotate(tensor: Tensor, bases: Sequence[Tensor], axes: Sequence[int]) -> Tensor:
    """Coordinates of a tensor in a basis for each axis, whose columns are the basis's vectors."""
    for axis in axes:
        tensor = _multiply_axis(bases[axis].T, tensor, axis)
    return tensor


def _newton_schulz(matrix: Tensor) -> Tensor:
    """Jordan et al. 2024: five steps of X <- aX + b(XX')X + c(XX')^2 X from X = M / |M|."""
    a, b, c = 3.4445, -4.7750, 2.0315
    X = matrix / matrix.norm()
    for _ in range(5):
        A = X @ X.T
        X = a * X + b * A @ X + c * A @ A @ X
    return X
