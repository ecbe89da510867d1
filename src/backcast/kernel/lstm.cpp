// An LSTM layer over whole sequences on a CPU: forward, backward, and a sweep that keeps only the states that
// are asked for. kernel/reference.py says what it computes, in thirty lines; tests hold the two together.
//
// Threads share out the rows of the batch and never wait for each other. The hidden units are taken in blocks
// of one vector. All four gates of a block and a tile of rows stay in registers from the products with the
// input and the last state to the new state.
//
//   W       floats in a vector, from the compiler's command line: 16 (AVX-512), 8 (AVX2), 4 (anything else)
//   packed  an order of the 4H gate units: block, gate (i, f, g, o), unit of the block; padded with zeros to
//           whole blocks. A padded unit has c = h = 0 at all times
//   slot    a row's place: rows sorted by falling length and dealt to the threads in turn

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>
#include <numeric>
#include <thread>
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
inline void store_first(float* to, vec value, int64_t count) {
    if (count >= W) return store(to, value);
    for (int64_t lane = 0; lane < count; ++lane) to[lane] = value[lane];
}
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

// exp(x) - 1, exact near 0; x is cut to ±BOUND, where sigmoid and tanh are constant in single precision.
inline vec expm1(vec x) {
    constexpr float BOUND = 25.0f;
    constexpr float SHIFT = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number in the low bits
    x = x < all(BOUND) ? x : all(BOUND);
    x = x > all(-BOUND) ? x : all(-BOUND);
    vec shifted = x * 1.44269504f + SHIFT;
    vec n = shifted - SHIFT;
    ivec bits = (reinterpret_cast<ivec&>(shifted) + 127) << 23;
    vec power = reinterpret_cast<vec&>(bits);  // 2^n
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
            for (int64_t row = 0; row < rows; row += TILE) {
                const float* block = values.data() + first * inputs;
                const float* one = from + row * from_stride;
                float* result = to + row * to_stride + first;
                switch (std::min<int64_t>(TILE, rows - row)) {
                    case 1: tile<1, relu>(one, from_stride, block, &bias[first], result, to_stride); break;
                    case 2: tile<2, relu>(one, from_stride, block, &bias[first], result, to_stride); break;
                    case 3: tile<3, relu>(one, from_stride, block, &bias[first], result, to_stride); break;
                    case 4: tile<4, relu>(one, from_stride, block, &bias[first], result, to_stride); break;
                    case 5: tile<5, relu>(one, from_stride, block, &bias[first], result, to_stride); break;
                    default: tile<6, relu>(one, from_stride, block, &bias[first], result, to_stride);
                }
            }
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
                store(to + r * to_stride + v * W, relu ? (value > 0.0f ? value : vec{}) : value);
            }
    }
};

// ------------------------------------------------------------------------------------------------ a layer

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
            for (int64_t n = 0; n < count; ++n) base[n * gates + place(j)] = base_rows[n * GATES * hidden + j];
        }
    }

    // Where gate unit j (0 .. 4H-1, gate after gate) stands in packed order.
    int64_t place(int64_t j) const {
        int64_t gate = j / hidden, unit = j % hidden;
        return (unit / W * GATES + gate) * W + unit % W;
    }

    // One step of `rows` rows. h_last and h (rows, padded), c (rows, padded) in place; x[row] and start[row] point
    // to the row's input and to its row of `base`. Where `activated` is given, it takes the gates (rows, gates).
    void step(const float* const* x, const float* const* start, const float* h_last, float* h, float* c, float* activated, int64_t rows) const {
        for (int64_t block = 0; block < blocks; ++block) {
            for (int64_t row = 0; row < rows; row += TILE) {
                int64_t at = row * padded + block * W;
                const float* last = h_last + row * padded;
                float* gate = activated ? activated + row * gates + block * GATES * W : nullptr;
                switch (std::min<int64_t>(TILE, rows - row)) {
                    case 1: tile<1>(block, x + row, start + row, last, h + at, c + at, gate); break;
                    case 2: tile<2>(block, x + row, start + row, last, h + at, c + at, gate); break;
                    case 3: tile<3>(block, x + row, start + row, last, h + at, c + at, gate); break;
                    case 4: tile<4>(block, x + row, start + row, last, h + at, c + at, gate); break;
                    case 5: tile<5>(block, x + row, start + row, last, h + at, c + at, gate); break;
                    default: tile<6>(block, x + row, start + row, last, h + at, c + at, gate);
                }
            }
        }
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

// Rows (count, hidden) with any stride to padded rows, and back.
void pad(const float* from, int64_t hidden, float* to, int64_t padded) {
    std::copy(from, from + hidden, to);
    std::fill(to + hidden, to + padded, 0.0f);
}

template <class Work>
void in_parallel(int64_t threads, Work work) {
    std::vector<std::thread> others;
    auto flushed = [&](int64_t part) {
        FlushDenormals flush;
        work(part);
    };
    for (int64_t part = 1; part < threads; ++part) others.emplace_back(flushed, part);
    flushed(0);
    for (auto& other : others) other.join();
}

}  // namespace

// ------------------------------------------------------------------------------- what Python calls, by ctypes

extern "C" {

// A layer and what it reads. Dimensions: N rows, T steps, I inputs, H hidden. All arrays are float32 and dense,
// but for x, whose strides are given; ids, lengths and places are int64.
struct Call {
    int64_t threads, rows, steps, inputs, hidden, symbols;
    const float* x;  // (N, T, I); not read where there are symbols
    int64_t x_row, x_step;
    const int64_t* ids;      // (N, T) symbols with row stride x_row, or null
    const int64_t* lengths;  // (N,), 0 .. T, or null: all T
    const float* input_map;  // (4H, I)
    const float* recurrent_map;  // (4H, H)
    const float* base;           // (4H,) the bias, or (symbols, 4H)
    const float *h0, *c0;        // (N, H)
};

// Written by `forward`: the states at the rows' ends (N, H), all outputs (N, T, H), and what `backward` needs, by
// slot: gates (T, N, 4·padded) and cells (T, N, padded). `outputs`, `gates` and `cells` may be null.
struct Forward {
    float *h, *c, *outputs, *gates, *cells;
};

// Read and written by `backward`. Gradients that are null are not wanted, or not given.
struct Backward {
    const float *outputs, *gates, *cells;
    const float *d_h, *d_c, *d_outputs;                     // given
    float *d_x, *d_input_map, *d_recurrent_map, *d_base;    // wanted: (N, T, I), (4H, I), (4H, H), as `base`
    float *d_h0, *d_c0;
};

// States wanted by `sweep`: row n's are number first[n] .. first[n+1]-1, after steps[·] >= 0 in rising order, and
// go to h and c (number, H) at places[·].
struct Kept {
    const int64_t *first, *steps, *places;
    float *h, *c;
};
}

namespace {

// The rows of one thread, by falling length.
struct Share {
    std::vector<int64_t> rows, lengths;
    int64_t first_slot, steps;

    Share(const Call& call, const std::vector<int64_t>& order, int64_t part) : first_slot(0), steps(0) {
        for (int64_t before = 0; before < part; ++before) first_slot += count(call, before);
        for (int64_t at = part; at < call.rows; at += call.threads) {
            rows.push_back(order[at]);
            lengths.push_back(call.lengths ? call.lengths[order[at]] : call.steps);
        }
        if (!lengths.empty()) steps = lengths[0];
    }
    int64_t alive(int64_t step) const {  // rows that have this step
        return std::partition_point(lengths.begin(), lengths.end(), [&](int64_t length) { return length > step; }) - lengths.begin();
    }
    int64_t size() const { return rows.size(); }

   private:
    static int64_t count(const Call& call, int64_t part) { return (call.rows - part + call.threads - 1) / call.threads; }
};

std::vector<int64_t> by_length(const Call& call) {
    std::vector<int64_t> order(call.rows);
    std::iota(order.begin(), order.end(), 0);
    if (call.lengths)
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return call.lengths[a] > call.lengths[b]; });
    return order;
}

Layer layer_of(const Call& call) {
    return Layer(call.hidden, call.ids ? 0 : call.inputs, call.input_map, call.recurrent_map, call.base, call.ids ? call.symbols : 1);
}

// Points `x` and `start` to what the first `alive` rows of a share read at `step`.
void aim(const Call& call, const Layer& layer, const Share& share, int64_t step, int64_t alive, const float** x, const float** start) {
    for (int64_t n = 0; n < alive; ++n) {
        int64_t row = share.rows[n];
        x[n] = call.ids ? nullptr : call.x + row * call.x_row + step * call.x_step;
        start[n] = call.ids ? &layer.base[call.ids[row * call.x_row + step] * layer.gates] : layer.base.data();
    }
}

// Runs a share from its first step to its last. `after(step, alive, h, c)` is told the states behind each step.
template <class After>
void run(const Call& call, const Layer& layer, const Share& share, float* gates, After after) {
    int64_t count = share.size(), padded = layer.padded;
    Buffer state(3 * count * padded);
    float *h = state.data(), *h_next = h + count * padded, *c = h_next + count * padded;
    for (int64_t n = 0; n < count; ++n) {
        pad(call.h0 + share.rows[n] * call.hidden, call.hidden, h + n * padded, padded);
        pad(call.c0 + share.rows[n] * call.hidden, call.hidden, c + n * padded, padded);
    }
    std::vector<const float*> x(count), start(count);
    after(0, count, h, c);
    for (int64_t step = 0; step < share.steps; ++step) {
        int64_t alive = share.alive(step);
        aim(call, layer, share, step, alive, x.data(), start.data());
        float* activated = gates ? gates + (step * call.rows + share.first_slot) * layer.gates : nullptr;
        layer.step(x.data(), start.data(), h, h_next, c, activated, alive);
        std::swap(h, h_next);
        after(step + 1, alive, h, c);
    }
}

}  // namespace

extern "C" {

void backcast_forward(const Call* call, const Forward* to) {
    Layer layer = layer_of(*call);
    auto order = by_length(*call);
    int64_t hidden = call->hidden, padded = layer.padded;
    in_parallel(call->threads, [&](int64_t part) {
        Share share(*call, order, part);
        run(*call, layer, share, to->gates, [&](int64_t steps, int64_t alive, const float* h, const float* c) {
            for (int64_t n = 0; n < alive; ++n) {
                int64_t row = share.rows[n];
                if (steps && to->outputs)
                    std::copy(h + n * padded, h + n * padded + hidden, to->outputs + (row * call->steps + steps - 1) * hidden);
                if (steps == share.lengths[n]) {
                    std::copy(h + n * padded, h + n * padded + hidden, to->h + row * hidden);
                    std::copy(c + n * padded, c + n * padded + hidden, to->c + row * hidden);
                }
            }
            if (steps && to->cells)
                std::copy(c, c + alive * padded, to->cells + ((steps - 1) * call->rows + share.first_slot) * padded);
        });
    });
}

void backcast_sweep(const Call* call, const Kept* kept) {
    Layer layer = layer_of(*call);
    auto order = by_length(*call);
    int64_t hidden = call->hidden, padded = layer.padded;
    in_parallel(call->threads, [&](int64_t part) {
        Share share(*call, order, part);
        std::vector<int64_t> next(share.size());
        for (int64_t n = 0; n < share.size(); ++n) next[n] = kept->first[share.rows[n]];
        run(*call, layer, share, nullptr, [&](int64_t steps, int64_t alive, const float* h, const float* c) {
            for (int64_t n = 0; n < alive; ++n)
                for (int64_t end = kept->first[share.rows[n] + 1]; next[n] < end && kept->steps[next[n]] == steps; ++next[n]) {
                    int64_t place = kept->places[next[n]] * hidden;
                    std::copy(h + n * padded, h + n * padded + hidden, kept->h + place);
                    std::copy(c + n * padded, c + n * padded + hidden, kept->c + place);
                }
        });
    });
}

void backcast_backward(const Call* call, const Backward* b) {
    Layer layer = layer_of(*call);
    auto order = by_length(*call);
    const int64_t hidden = call->hidden, inputs = layer.inputs, padded = layer.padded, gates = layer.gates, blocks = layer.blocks;
    const int64_t bases = call->ids ? call->symbols : 1;
    std::vector<int64_t> from(gates, -1);  // packed order to gate unit
    for (int64_t j = 0; j < GATES * hidden; ++j) from[layer.place(j)] = j;
    Matrix to_state(gates, padded, [&](int64_t k, int64_t unit) {
        return from[k] < 0 || unit >= hidden ? 0.0f : call->recurrent_map[from[k] * hidden + unit];
    });
    Matrix to_input(b->d_x ? gates : 0, inputs, [&](int64_t k, int64_t i) { return from[k] < 0 ? 0.0f : call->input_map[from[k] * inputs + i]; });

    // The gradient of all weights of a thread, as sums over samples (row, step) of [h | x | 1]ᵀ · gates' gradient.
    const int64_t seen = hidden + inputs + 1, tall = (seen + TILE - 1) / TILE * TILE;
    std::vector<Buffer> weights(call->threads), tables(call->threads);

    in_parallel(call->threads, [&](int64_t part) {
        Share share(*call, order, part);
        const int64_t count = share.size();
        const int64_t piece = std::max<int64_t>(1, PIECE / std::max<int64_t>(count, 1));
        Buffer& sums = weights[part];
        sums.assign(tall * gates, 0.0f);
        if (call->ids) tables[part].assign(bases * gates, 0.0f);
        Buffer d_h(count * to_state.padded), d_c(count * padded), d_gates(piece * count * gates), seen_by(piece * count * tall);
        Buffer d_inputs(b->d_x ? piece * count * to_input.padded : 0), starts(count * padded);
        for (int64_t n = 0; n < count; ++n) pad(call->c0 + share.rows[n] * hidden, hidden, &starts[n * padded], padded);
        std::vector<std::pair<int64_t, int64_t>> samples;  // (slot of this thread, step)
        samples.reserve(piece * count);

        auto enter = [&](int64_t n) {  // row n's last state
            for (int64_t unit = 0; unit < hidden; ++unit) {
                if (b->d_h) d_h[n * to_state.padded + unit] += b->d_h[share.rows[n] * hidden + unit];
                if (b->d_c) d_c[n * padded + unit] += b->d_c[share.rows[n] * hidden + unit];
            }
        };
        auto finish_piece = [&]() {
            const int64_t total = samples.size();
            for (int64_t s = 0; s < total; ++s) {
                auto [n, step] = samples[s];
                const int64_t row = share.rows[n];
                float* z = &seen_by[s * tall];
                const float* h_last = step ? b->outputs + (row * call->steps + step - 1) * hidden : call->h0 + row * hidden;
                std::copy(h_last, h_last + hidden, z);
                if (inputs) std::copy_n(call->x + row * call->x_row + step * call->x_step, inputs, z + hidden);
                z[hidden + inputs] = 1.0f;
                if (call->ids) {
                    float* table = &tables[part][call->ids[row * call->x_row + step] * gates];
                    for (int64_t k = 0; k < gates; k += W) store(table + k, load(table + k) + load(&d_gates[s * gates + k]));
                }
            }
            for (int64_t block = 0; block < blocks; ++block)
                for (int64_t k = 0; k < seen; k += TILE) {
                    vec sum[TILE][GATES];
                    const float* a[TILE];
                    float* to = &sums[k * gates + block * GATES * W];
                    for (int r = 0; r < TILE; ++r) {
                        a[r] = &seen_by[k + r];
                        for (int g = 0; g < GATES; ++g) sum[r][g] = load(to + r * gates + g * W);
                    }
                    multiply<TILE, GATES>(sum, a, tall, &d_gates[block * GATES * W], gates, total);
                    for (int r = 0; r < TILE; ++r)
                        for (int g = 0; g < GATES; ++g) store(to + r * gates + g * W, sum[r][g]);
                }
            if (b->d_x) {
                to_input.times<false>(d_gates.data(), gates, d_inputs.data(), to_input.padded, total);
                for (int64_t s = 0; s < total; ++s)
                    std::copy_n(&d_inputs[s * to_input.padded], inputs, b->d_x + (share.rows[samples[s].first] * call->steps + samples[s].second) * inputs);
            }
            samples.clear();
        };

        int64_t entered = 0;
        for (int64_t step = share.steps - 1; step >= 0; --step) {
            const int64_t alive = share.alive(step);
            for (; entered < alive; ++entered) enter(entered);
            float* d_gate = &d_gates[samples.size() * gates];
            for (int64_t n = 0; n < alive; ++n) {
                const int64_t slot = share.first_slot + n, row = share.rows[n];
                const float* gate = b->gates + (step * call->rows + slot) * gates;
                const float* cell = b->cells + (step * call->rows + slot) * padded;
                const float* cell_last = step ? cell - call->rows * padded : &starts[n * padded];
                const float* d_output = b->d_outputs ? b->d_outputs + (row * call->steps + step) * hidden : nullptr;
                for (int64_t block = 0; block < blocks; ++block) {
                    const int64_t unit = block * W;
                    vec i = load(gate + GATES * unit), f = load(gate + GATES * unit + W);
                    vec g = load(gate + GATES * unit + 2 * W), o = load(gate + GATES * unit + 3 * W);
                    vec dh = load(&d_h[n * to_state.padded + unit]);
                    if (d_output) {
                        vec given = {};
                        if (unit + W <= hidden) given = load(d_output + unit);
                        else std::memcpy(&given, d_output + unit, (hidden - unit) * sizeof(float));
                        dh += given;
                    }
                    vec squashed = tanh(load(cell + unit));
                    vec dc = load(&d_c[n * padded + unit]) + dh * o * (1.0f - squashed * squashed);
                    float* to = d_gate + n * gates + GATES * unit;
                    store(to, dc * g * i * (1.0f - i));
                    store(to + W, dc * load(cell_last + unit) * f * (1.0f - f));
                    store(to + 2 * W, dc * i * (1.0f - g * g));
                    store(to + 3 * W, dh * squashed * o * (1.0f - o));
                    store(&d_c[n * padded + unit], dc * f);
                }
                samples.emplace_back(n, step);
            }
            to_state.times<false>(d_gate, gates, d_h.data(), to_state.padded, alive);
            if (static_cast<int64_t>(samples.size()) + count > piece * count) finish_piece();
        }
        if (!samples.empty()) finish_piece();
        for (; entered < count; ++entered) enter(entered);  // rows without a step
        for (int64_t n = 0; n < count; ++n) {
            if (b->d_h0) std::copy_n(&d_h[n * to_state.padded], hidden, b->d_h0 + share.rows[n] * hidden);
            if (b->d_c0) std::copy_n(&d_c[n * padded], hidden, b->d_c0 + share.rows[n] * hidden);
        }
    });

    for (int64_t part = 1; part < call->threads; ++part) {
        std::transform(weights[0].begin(), weights[0].end(), weights[part].begin(), weights[0].begin(), std::plus<float>());
        std::transform(tables[0].begin(), tables[0].end(), tables[part].begin(), tables[0].begin(), std::plus<float>());
    }
    for (int64_t j = 0; j < GATES * hidden; ++j) {
        const float* column = weights[0].data() + layer.place(j);
        for (int64_t k = 0; k < hidden; ++k) b->d_recurrent_map[j * hidden + k] = column[k * gates];
        for (int64_t k = 0; k < inputs; ++k) b->d_input_map[j * inputs + k] = column[(hidden + k) * gates];
        if (call->ids)
            for (int64_t n = 0; n < bases; ++n) b->d_base[n * GATES * hidden + j] = tables[0][n * gates + layer.place(j)];
        else
            b->d_base[j] = column[(hidden + inputs) * gates];
    }
}
}
