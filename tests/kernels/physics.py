"""Kernels from physics and geography: indirect access, masks, complex numbers, particles."""

# ruff: noqa: PLR0917 - long argument lists are how such kernels are called

import numba as nb
import numpy as np

from .model import Draw, Kernel, well_conditioned

__all__ = ["KERNELS"]


@nb.njit(fastmath=True)
def azimint(data, radius, npt):
    width = radius.max() / npt
    means = np.zeros(npt, dtype=np.float64)
    for ring in range(npt):
        inside = np.logical_and(ring * width <= radius, radius < (ring + 1) * width)
        means[ring] = data[inside].mean()
    return means


@nb.njit
def azimint_histogram(data, radius, npt):
    low, high = radius.min(), radius.max()
    weighted = np.zeros(npt)
    count = np.zeros(npt, dtype=np.int64)
    for i in range(radius.shape[0]):
        k = min(int(npt * (radius[i] - low) / (high - low)), npt - 1)
        weighted[k] += data[i]
        count[k] += 1
    return weighted / count


@nb.njit(fastmath=True)
def compute(array_1, array_2, a, b, c):
    return np.clip(array_1, 0.7, 1.3) * a + array_2 * b + c


@nb.njit
def compute_loops(array_1, array_2, a, b, c):
    out = np.empty_like(array_1)
    for i in range(array_1.shape[0]):
        for j in range(array_1.shape[1]):
            out[i, j] = min(max(array_1[i, j], 0.7), 1.3) * a + array_2[i, j] * b + c
    return out


@nb.njit(fastmath=True)
def go_fast(a):
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    return a + trace


@nb.njit(fastmath=True)
def arc_distance(theta_1, phi_1, theta_2, phi_2):
    temp = (
        np.sin((theta_2 - theta_1) / 2) ** 2
        + np.cos(theta_1) * np.cos(theta_2) * np.sin((phi_2 - phi_1) / 2) ** 2
    )
    return 2 * (np.arctan2(np.sqrt(temp), np.sqrt(1 - temp)))


@nb.njit(fastmath=True)
def spmv(A_row, A_col, A_val, x):
    y = np.empty(A_row.size - 1, A_val.dtype)
    for i in range(A_row.size - 1):
        cols = A_col[A_row[i] : A_row[i + 1]]
        vals = A_val[A_row[i] : A_row[i + 1]]
        y[i] = vals @ x[cols]
    return y


@nb.njit
def spmv_loops(A_row, A_col, A_val, x, y):
    for i in range(y.size):
        y[i] = 0.0
        for k in range(A_row[i], A_row[i + 1]):
            y[i] += A_val[k] * x[A_col[k]]


@nb.njit(fastmath=True)
def _acceleration(pos, mass, G, softening):
    x, y, z = pos[:, 0:1], pos[:, 1:2], pos[:, 2:3]
    dx, dy, dz = x.T - x, y.T - y, z.T - z
    weight = dx**2 + dy**2 + dz**2 + softening**2
    apart = weight > 0
    for i, j in np.ndindex(weight.shape):
        if apart[i, j]:
            weight[i, j] **= -1.5
    return G * np.hstack(((dx * weight) @ mass, (dy * weight) @ mass, (dz * weight) @ mass))


@nb.njit(fastmath=True)
def _energy(pos, vel, mass, G):
    x, y, z = pos[:, 0:1], pos[:, 1:2], pos[:, 2:3]
    inverse = np.sqrt((x.T - x) ** 2 + (y.T - y) ** 2 + (z.T - z) ** 2)
    for i in range(inverse.shape[0]):
        for j in range(inverse.shape[1]):
            if inverse[i, j] > 0:
                inverse[i, j] = 1.0 / inverse[i, j]
    pairs = np.triu(-(mass * mass.T) * inverse, 1)
    return 0.5 * np.sum(mass * vel**2), G * np.sum(pairs)


@nb.njit(fastmath=True)
def nbody(mass, pos, vel, steps, dt, G, softening):
    vel -= np.sum(mass * vel, axis=0) / vel.shape[0] / np.mean(mass)
    kinetic = np.empty(steps + 1)
    potential = np.empty(steps + 1)
    kinetic[0], potential[0] = _energy(pos, vel, mass, G)
    acc = _acceleration(pos, mass, G, softening)
    for i in range(1, steps + 1):
        vel += acc * dt / 2.0
        pos += vel * dt
        acc = _acceleration(pos, mass, G, softening)
        vel += acc * dt / 2.0
        kinetic[i], potential[i] = _energy(pos, vel, mass, G)
    return kinetic, potential


@nb.njit
def nbody_loops(mass, pos, vel, steps, dt):
    n = mass.size
    acc = np.empty((n, 3))
    for _ in range(steps):
        acc[:] = 0.0
        for i in range(n):
            for j in range(n):
                if i != j:
                    r = pos[j] - pos[i]
                    acc[i] += mass[j] * r / (np.dot(r, r) + 0.01) ** 1.5
        vel += dt * acc
        pos += dt * vel


@nb.njit(fastmath=True)
def contour_integral(slabs, nodes, Y):
    P0 = np.zeros(Y.shape)
    P1 = np.zeros(Y.shape)
    for z in nodes:
        T = np.zeros(slabs.shape[1:])
        for n in range(slabs.shape[0]):
            T += np.power(z, (slabs.shape[0] - 1) / 2 - n) * slabs[n]
        X = np.linalg.inv(T) if Y.shape[0] == Y.shape[1] else np.linalg.solve(T, Y)
        if abs(z) < 1.0:
            X = -X
        P0 += X
        P1 += z * X
    return P0, P1


@nb.njit(fastmath=True)
def _complex_contour_integral(slabs, nodes, Y):
    P0 = np.zeros(Y.shape, dtype=np.complex128)
    P1 = np.zeros(Y.shape, dtype=np.complex128)
    for z in nodes:
        T = np.zeros(slabs.shape[1:], dtype=np.complex128)
        for n in range(slabs.shape[0]):
            T += np.power(z, (slabs.shape[0] - 1) / 2 - n) * slabs[n]
        X = np.linalg.inv(T) if Y.shape[0] == Y.shape[1] else np.linalg.solve(T, Y)
        if abs(z) < 1.0:
            X = -X
        P0 += X
        P1 += z * X
    return P0, P1


@nb.njit
def contour_integral_complex(real, imaginary, nodes, y_real, y_imaginary):
    P0, P1 = _complex_contour_integral(real + 1j * imaginary, nodes, y_real + 1j * y_imaginary)
    return P0.real.copy(), P0.imag.copy(), P1.real.copy(), P1.imag.copy()


@nb.njit
def _grid(rows, columns):
    i = np.empty((rows, columns), dtype=np.uint32)
    j = np.empty((rows, columns), dtype=np.uint32)
    for row in range(rows):
        i[row, :] = row
    for column in range(columns):
        j[:, column] = column
    return i, j


@nb.njit(fastmath=True)
def _stockham(R, K, x, y):
    N = R**K
    i, j = _grid(R, R)
    transform = np.exp(-2.0j * np.pi * i * j / R)
    i, j = _grid(R, N)
    y[:] = x[:]
    for stage in range(K):
        done, left = R**stage, R ** (K - stage - 1)
        view = np.transpose(np.reshape(y, (done, R, left)), axes=(1, 0, 2)).copy()
        twiddle = np.empty((R, done, left), dtype=np.complex128)
        for k in range(left):
            twiddle[:, :, k] = np.exp(-2.0j * np.pi * i[:, :done] * j[:, :done] / (done * R))
        turned = np.reshape(view, (N,)) * np.reshape(twiddle, (N,))
        y[:] = np.reshape(transform @ np.reshape(turned, (R, N // R)), (N,))


@nb.njit
def stockham_fft(R, K, real, imaginary, out_real, out_imaginary):
    y = np.empty(real.size, dtype=np.complex128)
    _stockham(R, K, real + 1j * imaginary, y)
    out_real[:] = y.real
    out_imaginary[:] = y.imag


@nb.njit
def stockham_fft_loops(real, imaginary):
    n = real.size
    x = np.empty(n, dtype=np.complex128)
    y = np.empty(n, dtype=np.complex128)
    for i in range(n):
        x[i] = complex(real[i], imaginary[i])
    half, stride = n // 2, 1
    while half >= 1:
        for p in range(half):
            w = np.exp(-1j * np.pi * p / half)
            for q in range(stride):
                a = x[q + stride * p]
                b = x[q + stride * (p + half)]
                y[q + stride * 2 * p] = a + b
                y[q + stride * (2 * p + 1)] = (a - b) * w
        x, y = y, x
        half //= 2
        stride *= 2
    return x.real.copy(), x.imag.copy()


@nb.njit(fastmath=True)
def scattering_self_energies(neighbours, dH, G, D, Sigma):
    for k, E in np.ndindex(G.shape[:2]):
        for q, w in np.ndindex(D.shape[:2]):
            if E - w < 0:
                continue
            for a, b in np.ndindex(neighbours.shape):
                for i in range(D.shape[-2]):
                    for j in range(D.shape[-1]):
                        scaled = dH[a, b, j] * D[q, w, a, b, i, j]
                        Sigma[k, E, a] += G[k, E - w, neighbours[a, b]] @ dH[a, b, i] @ scaled


@nb.njit
def scattering_self_energies_complex(neighbours, dH, dH_i, G, G_i, D, D_i, Sigma, Sigma_i):
    out = Sigma + 1j * Sigma_i
    scattering_self_energies(neighbours, dH + 1j * dH_i, G + 1j * G_i, D + 1j * D_i, out)
    Sigma[:] = out.real
    Sigma_i[:] = out.imag


def _sparse(draw: Draw):
    return np.array([0, 2, 3, 3, 6]), np.array([0, 3, 1, 0, 2, 4]), draw.signed(6), draw.signed(5)


def _bodies(draw: Draw):
    return draw.array(4, 1), draw.signed(4, 3), draw.signed(4, 3), 2, 0.05, 1.1, 0.1


def _slabs(draw: Draw):
    return np.stack([well_conditioned(draw, 3) for _ in range(3)])


def _scattering(draw: Draw, parts: int):
    neighbours = np.array([[1, 0], [2, 1], [0, 2]])
    shapes = (3, 2, 2, 2, 2), (1, 3, 3, 2, 2), (1, 2, 3, 2, 2, 2), (1, 3, 3, 2, 2)
    return (neighbours, *(draw.signed(*shape) for shape in shapes for _ in range(parts)))


KERNELS = (
    Kernel(azimint, lambda draw: (draw.array(20), draw.array(20, low=0.0), 3)),
    Kernel(azimint_histogram, lambda draw: (draw.array(20), draw.array(20, low=0.0), 3)),
    Kernel(
        compute,
        lambda draw: (draw.array(3, 4), draw.array(3, 4), draw.number(), draw.number(), draw.number()),
    ),
    Kernel(
        compute_loops,
        lambda draw: (draw.array(3, 4), draw.array(3, 4), draw.number(), draw.number(), draw.number()),
    ),
    Kernel(go_fast, lambda draw: (draw.signed(4, 4),)),
    Kernel(arc_distance, lambda draw: tuple(draw.array(4) for _ in range(4))),
    Kernel(spmv, _sparse),
    Kernel(spmv_loops, lambda draw: (*_sparse(draw), draw.signed(4))),
    Kernel(nbody, _bodies),
    Kernel(nbody_loops, lambda draw: (draw.array(4), draw.signed(4, 3), draw.signed(4, 3), 2, 0.05)),
    Kernel(
        contour_integral,
        lambda draw: (_slabs(draw), np.array([0.8, 1.3]), draw.signed(3, 2)),
    ),
    Kernel(
        contour_integral_complex,
        lambda draw: (
            _slabs(draw),
            _slabs(draw),
            np.array([0.8 + 0.1j, 1.3]),
            draw.signed(3, 2),
            draw.signed(3, 2),
        ),
    ),
    Kernel(
        stockham_fft,
        lambda draw: (2, 3, draw.signed(8), draw.signed(8), draw.signed(8), draw.signed(8)),
    ),
    Kernel(stockham_fft_loops, lambda draw: (draw.signed(8), draw.signed(8))),
    Kernel(scattering_self_energies, lambda draw: _scattering(draw, 1)),
    Kernel(scattering_self_energies_complex, lambda draw: _scattering(draw, 2)),
)
