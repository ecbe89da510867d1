// Vectors of floats, the gate functions, products of matrices, and threads: what the kernel is made of.
//
//   W   floats in a vector, from the compiler's command line: 16 (AVX-512), 8 (AVX2), 4 (anything else)

#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int W = WIDTH;
constexpr int GATES = 4;
constexpr int TILE = W == 16 ? 6 : 3;  // rows whose gates fit the vector registers together
constexpr int64_t PIECE = 128;         // rows × steps between two updates of the weights' gradient

typedef float vec __attribute__((vector_size(W * 4)));
typedef int32_t ivec __attribute__((vector_size(W * 4)));
typedef float unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));

inline vec load(const float* from) { return *reinterpret_cast<const unaligned*>(from); }
inline void store(float* to, vec value) { *reinterpret_cast<unaligned*>(to) = value; }
inline vec all(float value) { return value - vec{}; }

// Numbers too small for a normal float count as zero in this thread, until the end of the block.
class FlushDenormals {
#if defined(__x86_64__)
    unsigned before_ = _mm_getcsr();

   public:
    FlushDenormals() { _mm_setcsr(before_ | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
    uint64_t before_;

   public:
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
#else
   public:
    FlushDenormals() {}
#endif
};

template <class T>
struct Aligned {  // to cache lines: a vector that lies across two of them takes twice as long to read
    using value_type = T;
    Aligned() = default;
    template <class U>
    Aligned(const Aligned<U>&) {}
    T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64))); }
    void deallocate(T* memory, size_t) { ::operator delete(memory, std::align_val_t(64)); }
    bool operator==(const Aligned&) const { return true; }
    bool operator!=(const Aligned&) const { return false; }
};
using Buffer = std::vector<float, Aligned<float>>;

// ---------------------------------------------------------------------------------------- gate functions

// exp(x) - 1, exact near 0; x is cut to ±BOUND: there tanh is constant in single precision, and sigmoid is within
// 2e-11 of 0 or 1.
inline vec expm1(vec x) {
    constexpr float BOUND = 25.0f;
    constexpr float SHIFT = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number in the low bits
    x = x > all(BOUND) ? all(BOUND) : x;  // in this order NaN stays NaN
    x = x < all(-BOUND) ? all(-BOUND) : x;
    vec shifted = x * 1.44269504f + SHIFT;
    vec n = shifted - SHIFT;
    ivec exponent = ((ivec)shifted + 127) << 23;  // a cast between vectors keeps the bits
    vec power = (vec)exponent;                      // 2^n
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;  // r = x - n·ln 2 in two parts, |r| <= ln 2 / 2
    vec p = all(1.0f / 5040);    // Taylor's series: the next term is below 2^-24 there
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r;  // exp(r) - 1
    return power * p + (power - 1.0f);
}

inline vec sigmoid(vec x) { return 1.0f / (expm1(-x) + 2.0f); }
inline vec tanh(vec x) {
    vec e = expm1(x + x);
    return e / (e + 2.0f);
}

// ------------------------------------------------------------------------------------------------ products

// sums[r][v] += Σ_k a[r][k·a_step] · b[k·b_step + v·W ..]
template <int R, int V>
inline __attribute__((always_inline)) void multiply(vec (&sums)[R][V], const float* const* a, ptrdiff_t a_step,
                                                    const float* b, ptrdiff_t b_step, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
        vec column[V];
        for (int v = 0; v < V; ++v) column[v] = load(b + k * b_step + v * W);
        for (int r = 0; r < R; ++r) {
            float factor = a[r][k * a_step];
            for (int v = 0; v < V; ++v) sums[r][v] += factor * column[v];
        }
    }
}

// Calls run(first row, height) for tiles of at most TILE rows, all about as high as each other: a low tile reads as many
// weights as a high one. The height is a constant for the compiler.
template <class Run>
inline void for_tiles(int64_t rows, Run run) {
    const int64_t tiles = (rows + TILE - 1) / TILE;
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t row = rows * tile / tiles;
        switch (rows * (tile + 1) / tiles - row) {
            case 1: run(row, std::integral_constant<int, 1>()); break;
            case 2: run(row, std::integral_constant<int, 2>()); break;
            case 3: run(row, std::integral_constant<int, 3>()); break;
            case 4: run(row, std::integral_constant<int, std::min(4, TILE)>()); break;
            case 5: run(row, std::integral_constant<int, std::min(5, TILE)>()); break;
            default: run(row, std::integral_constant<int, std::min(6, TILE)>());
        }
    }
}

// to (tall, wide) += aᵀ (tall, samples) · b (samples, wide): the gradient of weights. `tall` is a multiple of TILE, `wide` of
// four vectors; only the first `seen` rows matter.
inline void add_transposed_product(const float* a, int64_t tall, int64_t seen, const float* b, int64_t wide, int64_t samples, float* to) {
    constexpr int V = 4;
    for (int64_t column = 0; column < wide; column += V * W)
        for (int64_t k = 0; k < seen; k += TILE) {
            vec sums[TILE][V];
            const float* rows[TILE];
            float* corner = to + k * wide + column;
            for (int r = 0; r < TILE; ++r) {
                rows[r] = a + k + r;
                for (int v = 0; v < V; ++v) sums[r][v] = load(corner + r * wide + v * W);
            }
            multiply<TILE, V>(sums, rows, tall, b + column, wide, samples);
            for (int r = 0; r < TILE; ++r)
                for (int v = 0; v < V; ++v) store(corner + r * wide + v * W, sums[r][v]);
        }
}

// A matrix (inputs, outputs) in the order in which `Matrix::times` reads it: four vectors of columns at a time.
struct Matrix {
    static constexpr int V = 4;
    int64_t inputs, outputs, padded;
    Buffer values, bias;

    // element(k, j) is the weight from input k to output j
    template <class Element>
    Matrix(int64_t inputs, int64_t outputs, Element element, const float* biases = nullptr)
        : inputs(inputs), outputs(outputs), padded((outputs + V * W - 1) / (V * W) * (V * W)), values(inputs * padded), bias(padded) {
        for (int64_t first = 0, at = 0; first < padded; first += V * W)
            for (int64_t k = 0; k < inputs; ++k)
                for (int64_t j = first; j < first + V * W; ++j) values[at++] = j < outputs ? element(k, j) : 0.0f;
        if (biases) std::copy(biases, biases + outputs, bias.begin());
    }

    // to (rows, padded) = from (rows, inputs) · this + bias, then max(·, 0) where `relu`
    template <bool relu>
    void times(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows) const {
        for (int64_t first = 0; first < padded; first += V * W)
            for_tiles(rows, [&](int64_t row, auto height) {
                tile<height, relu>(from + row * from_stride, from_stride, &values[first * inputs], &bias[first], to + row * to_stride + first, to_stride);
            });
    }

   private:
    template <int R, bool relu>
    void tile(const float* from, int64_t from_stride, const float* block, const float* biases, float* to, int64_t to_stride) const {
        vec sums[R][V];
        const float* rows[R];
        for (int r = 0; r < R; ++r) {
            rows[r] = from + r * from_stride;
            for (int v = 0; v < V; ++v) sums[r][v] = load(biases + v * W);
        }
        multiply<R, V>(sums, rows, 1, block, V * W, inputs);
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) {
                vec value = sums[r][v];
                store(to + r * to_stride + v * W, relu ? (value < 0.0f ? vec{} : value) : value);
            }
    }
};

// ------------------------------------------------------------------------------------------------- threads

// Calls work(0) .. work(threads - 1), each in a thread of its own where there is one to be had. What one of them
// throws is thrown here, when all have ended.
template <class Work>
void in_parallel(int64_t threads, Work work) {
    std::vector<std::thread> others;
    std::atomic<bool> failed(false);
    auto run = [&](int64_t part) {
        FlushDenormals flush;
        try {
            work(part);
        } catch (...) {
            failed = true;
        }
    };
    others.reserve(threads);
    for (int64_t part = 1; part < threads; ++part) {
        try {
            others.emplace_back(run, part);
        } catch (...) {  // no more threads for us, or no memory for one
            run(part);
        }
    }
    run(0);
    for (auto& other : others) other.join();
    if (failed) throw std::bad_alloc();  // nothing else is thrown here
}

// For calls from outside of C++, which no exception may leave: 0, or 1 where memory ran out.
template <class Work>
int without_exceptions(Work work) {
    try {
        work();
        return 0;
    } catch (...) {
        return 1;
    }
}

}  // namespace
