// A linear map over many rows, then max(·, 0) where asked: forward and backward. It stands beside the recurrence because
// most of a decoder's arithmetic is its feed-forward network, and on processors that torch's matrix library was
// not written for, that library reaches half of what they can do.
//
// Threads share out the rows and never wait for each other. Rows are taken in pieces that stay in the cache.

#include <functional>

#include "vector.h"

extern "C" {

// y (N, O) = x (N, I) · weightᵀ (O, I) + bias (O,), cut at 0 from below where `relu`. All arrays dense float32.
struct Dense {
    int64_t threads, rows, inputs, outputs, relu;
    const float *x, *weight, *bias;
};

struct DenseOutput {
    float* y;
};

// Gradients; d_x may be null: not wanted. y is read where `relu`.
struct DenseBackward {
    const float *y, *d_y;
    float *d_x, *d_weight, *d_bias;
};
}

namespace {

constexpr int64_t ROWS = 96;  // a piece: a multiple of the tile's height

void run_dense(const Dense& call, const DenseOutput& output) {
    float* const y = output.y;
    const int64_t inputs = call.inputs, outputs = call.outputs;
    const Matrix matrix(inputs, outputs, [&](int64_t k, int64_t j) { return call.weight[j * inputs + k]; }, call.bias);
    in_parallel(call.threads, [&](int64_t part) {
        const int64_t begin = call.rows * part / call.threads, end = call.rows * (part + 1) / call.threads;
        const bool direct = matrix.padded == outputs;
        Buffer piece(direct ? 0 : ROWS * matrix.padded);
        for (int64_t row = begin; row < end; row += ROWS) {
            const int64_t count = std::min(ROWS, end - row);
            const float* from = call.x + row * inputs;
            float* to = direct ? y + row * outputs : piece.data();
            if (call.relu) matrix.times<true>(from, inputs, to, matrix.padded, count);
            else matrix.times<false>(from, inputs, to, matrix.padded, count);
            for (int64_t n = 0; n < count && !direct; ++n) std::copy_n(to + n * matrix.padded, outputs, y + (row + n) * outputs);
        }
    });
}

void run_dense_backward(const Dense& call, const DenseBackward& b) {
    const int64_t inputs = call.inputs, outputs = call.outputs;
    const int64_t wide = (outputs + Matrix::V * W - 1) / (Matrix::V * W) * (Matrix::V * W);  // of d_y, padded with zeros
    const int64_t seen = inputs + 1, tall = (seen + TILE - 1) / TILE * TILE;  // x and a one for the bias, padded
    const Matrix to_input(b.d_x ? wide : 0, inputs, [&](int64_t k, int64_t i) { return k < outputs ? call.weight[k * inputs + i] : 0.0f; });
    std::vector<Buffer> sums(call.threads);
    in_parallel(call.threads, [&](int64_t part) {
        const int64_t begin = call.rows * part / call.threads, end = call.rows * (part + 1) / call.threads;
        Buffer given(ROWS * wide), x(ROWS * tall), d_x(b.d_x ? ROWS * to_input.padded : 0);
        Buffer& sum = sums[part];
        sum.assign(tall * wide, 0.0f);
        for (int64_t row = begin; row < end; row += ROWS) {
            const int64_t count = std::min(ROWS, end - row);
            for (int64_t n = 0; n < count; ++n) {
                const float *d_y = b.d_y + (row + n) * outputs, *y = b.y + (row + n) * outputs;
                for (int64_t j = 0; j < outputs; ++j) given[n * wide + j] = call.relu && y[j] <= 0.0f ? 0.0f : d_y[j];
                std::copy_n(call.x + (row + n) * inputs, inputs, &x[n * tall]);
                x[n * tall + inputs] = 1.0f;
            }
            add_transposed_product(x.data(), tall, seen, given.data(), wide, count, sum.data());
            if (b.d_x) {
                const bool direct = to_input.padded == inputs;
                float* to = direct ? b.d_x + row * inputs : d_x.data();
                to_input.times<false>(given.data(), wide, to, to_input.padded, count);
                for (int64_t n = 0; n < count && !direct; ++n) std::copy_n(to + n * to_input.padded, inputs, b.d_x + (row + n) * inputs);
            }
        }
    });
    for (int64_t part = 1; part < call.threads; ++part)
        std::transform(sums[0].begin(), sums[0].end(), sums[part].begin(), sums[0].begin(), std::plus<float>());
    for (int64_t j = 0; j < outputs; ++j) {
        for (int64_t k = 0; k < inputs; ++k) b.d_weight[j * inputs + k] = sums[0][k * wide + j];
        b.d_bias[j] = sums[0][inputs * wide + j];
    }
}

}  // namespace

extern "C" int backcast_dense(const Dense* call, const DenseOutput* output) {
    return without_exceptions([&] { run_dense(*call, *output); });
}

extern "C" int backcast_dense_backward(const Dense* call, const DenseBackward* b) {
    return without_exceptions([&] { run_dense_backward(*call, *b); });
}
