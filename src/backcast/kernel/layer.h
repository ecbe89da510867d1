// One step of an LSTM layer, for tiles of rows.
//
// The hidden units are taken in blocks of one vector. All four gates of a block and a tile of rows stay in
// registers from the products with the input and the last state to the new state.
//
//   packed  an order of the 4H gate units: block, gate (i, f, g, o), unit of the block; padded with zeros to
//           whole blocks. A padded unit has c = h = 0 at all times

#pragma once

#include <cstring>

#include "vector.h"

namespace {

// From the sums of a row's gates to its new state, for one block. Not inlined, so that there is one code for
// tiles of all heights: which products are fused with which sums, and with them the last bits of a row, must not
// depend on how many rows stand beside it.
__attribute__((noinline)) void activate(vec i, vec f, vec g, vec o, float* h, float* c, float* activated) {
    i = sigmoid(i), f = sigmoid(f), g = tanh(g), o = sigmoid(o);
    vec cell = f * load(c) + i * g;
    store(c, cell);
    store(h, o * tanh(cell));
    if (activated) store(activated, i), store(activated + W, f), store(activated + 2 * W, g), store(activated + 3 * W, o);
}

// The weights of a layer in packed order. `base` holds what a step begins with: the bias, or for symbols a row
// of the table for each, in which the bias is contained.
struct Layer {
    int64_t hidden, inputs, blocks, padded, gates;
    Buffer input, recurrent, base;

    // input_map (4H, inputs), recurrent_map (4H, H), base (count, 4H)
    Layer(int64_t hidden, int64_t inputs, const float* input_map, const float* recurrent_map, const float* base_rows, int64_t count)
        : hidden(hidden), inputs(inputs), blocks((hidden + W - 1) / W), padded(blocks * W), gates(GATES * padded),
          input(inputs * gates), recurrent(hidden * gates), base(count * gates) {
        for (int64_t j = 0; j < GATES * hidden; ++j) {
            int64_t block = place(j) / (GATES * W), within = place(j) % (GATES * W);
            for (int64_t k = 0; k < inputs; ++k) input[(block * inputs + k) * GATES * W + within] = input_map[j * inputs + k];
            for (int64_t k = 0; k < hidden; ++k) recurrent[(block * hidden + k) * GATES * W + within] = recurrent_map[j * hidden + k];
        }
        pack(base_rows, count, base.data());
    }

    // `rows` (count, 4H) to packed order (count, gates); padded units are left as they are.
    void pack(const float* rows, int64_t count, float* to) const {
        for (int64_t j = 0; j < GATES * hidden; ++j)
            for (int64_t n = 0, at = place(j); n < count; ++n) to[n * gates + at] = rows[n * GATES * hidden + j];
    }

    // Where gate unit j (0 .. 4H-1, gate after gate) stands in packed order.
    int64_t place(int64_t j) const {
        int64_t gate = j / hidden, unit = j % hidden;
        return (unit / W * GATES + gate) * W + unit % W;
    }

    // One step of `rows` rows. h_last and h (rows, padded), c (rows, padded) in place; x[row] and start[row] point
    // to the row's input and to its row of `base`. Where `activated` is given, it takes the gates (rows, gates).
    void step(const float* const* x, const float* const* start, const float* h_last, float* h, float* c, float* activated, int64_t rows) const {
        for (int64_t block = 0; block < blocks; ++block)
            for_tiles(rows, [&](int64_t row, auto height) {
                int64_t at = row * padded + block * W;
                float* gate = activated ? activated + row * gates + block * GATES * W : nullptr;
                tile<height>(block, x + row, start + row, h_last + row * padded, h + at, c + at, gate);
            });
    }

   private:
    template <int R>
    void tile(int64_t block, const float* const* x, const float* const* start, const float* h_last, float* h, float* c, float* activated) const {
        vec sums[R][GATES];
        const float* last[R];
        for (int r = 0; r < R; ++r) {
            last[r] = h_last + r * padded;
            for (int g = 0; g < GATES; ++g) sums[r][g] = load(start[r] + (block * GATES + g) * W);
        }
        if (inputs) multiply<R, GATES>(sums, x, 1, &input[block * inputs * GATES * W], GATES * W, inputs);
        multiply<R, GATES>(sums, last, 1, &recurrent[block * hidden * GATES * W], GATES * W, hidden);
        for (int r = 0; r < R; ++r)
            activate(sums[r][0], sums[r][1], sums[r][2], sums[r][3], h + r * padded, c + r * padded, activated ? activated + r * gates : nullptr);
    }
};

#if WIDTH == 16 && defined(__AVX512BF16__)
// The same step with the products with the last state in bf16, summed in float32. For sweeps: nothing is kept.
struct HalfLayer : Layer {
    std::vector<uint32_t, Aligned<uint32_t>> pairs;  // [block][pair of inputs][gate][unit]: two bf16 weights

    explicit HalfLayer(const Layer& layer) : Layer(layer), pairs(blocks * (padded / 2) * GATES * W) {
        for (int64_t block = 0; block < blocks; ++block)
            for (int64_t k = 0; k < hidden; ++k)
                for (int64_t j = 0; j < GATES * W; ++j) {
                    uint32_t half = round_to_half(recurrent[(block * hidden + k) * GATES * W + j]);
                    pairs[(block * (padded / 2) + k / 2) * GATES * W + j] |= half << (16 * (k % 2));
                }
    }

    void step(const float* const* x, const float* const* start, const float* h_last, float* h, float* c, float*, int64_t rows) const {
        thread_local std::vector<uint32_t, Aligned<uint32_t>> last;
        last.resize(rows * padded / 2);
        for (int64_t at = 0; at < rows * padded; at += W)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(&last[at / 2]), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(h_last + at)));
        for (int64_t block = 0; block < blocks; ++block)
            for_tiles(rows, [&](int64_t row, auto height) {
                int64_t at = row * padded + block * W;
                tile<height>(block, x + row, start + row, &last[row * padded / 2], h + at, c + at);
            });
    }

   private:
    static uint32_t round_to_half(float value) {  // to the nearest, ties to even
        uint32_t bits;
        std::memcpy(&bits, &value, 4);
        if (value != value) return 0x7fc0;
        return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    }

    template <int R>
    void tile(int64_t block, const float* const* x, const float* const* start, const uint32_t* last, float* h, float* c) const {
        vec sums[R][GATES];
        for (int r = 0; r < R; ++r)
            for (int g = 0; g < GATES; ++g) sums[r][g] = load(start[r] + (block * GATES + g) * W);
        if (inputs) multiply<R, GATES>(sums, x, 1, &input[block * inputs * GATES * W], GATES * W, inputs);
        const uint32_t* weights = &pairs[block * (padded / 2) * GATES * W];
        for (int64_t k = 0; k < (hidden + 1) / 2; ++k) {
            __m512bh column[GATES];
            for (int g = 0; g < GATES; ++g) column[g] = (__m512bh)_mm512_loadu_si512(weights + (k * GATES + g) * W);
            for (int r = 0; r < R; ++r) {
                __m512bh factor = (__m512bh)_mm512_set1_epi32(static_cast<int>(last[r * padded / 2 + k]));
                for (int g = 0; g < GATES; ++g) sums[r][g] = (vec)_mm512_dpbf16_ps((__m512)sums[r][g], factor, column[g]);
            }
        }
        for (int r = 0; r < R; ++r)
            activate(sums[r][0], sums[r][1], sums[r][2], sums[r][3], h + r * padded, c + r * padded, nullptr);
    }
};
#endif

// One row (hidden) to a padded one.
void pad(const float* from, int64_t hidden, float* to, int64_t padded) {
    std::copy(from, from + hidden, to);
    std::fill(to + hidden, to + padded, 0.0f);
}

}  // namespace
