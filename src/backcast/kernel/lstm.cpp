// An LSTM layer over whole sequences: forward, backward, and a sweep that keeps only the states that are asked
// for. reference.py says what is computed; tests hold the two together.
//
// Threads share out the rows of the batch and never wait for each other.
//
//   slot    a row's place: rows sorted by falling length and dealt to the threads in turn

#include <numeric>

#include "layer.h"

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
    int64_t half;  // products with the state in bf16, where there is `backcast_has_half`
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
    return Layer(call.hidden, call.symbols ? 0 : call.inputs, call.input_map, call.recurrent_map, call.base, call.symbols ? call.symbols : 1);
}

// Points `x` and `start` to what the first `alive` rows of a share read at `step`.
void aim(const Call& call, const Layer& layer, const Share& share, int64_t step, int64_t alive, const float** x, const float** start) {
    for (int64_t n = 0; n < alive; ++n) {
        int64_t row = share.rows[n];
        x[n] = call.symbols ? nullptr : call.x + row * call.x_row + step * call.x_step;
        start[n] = call.symbols ? &layer.base[call.ids[row * call.x_row + step] * layer.gates] : layer.base.data();
    }
}

// Runs a share from its first step to its last. `after(step, alive, h, c)` is told the states behind each step.
template <class AnyLayer, class After>
void run(const Call& call, const AnyLayer& layer, const Share& share, float* gates, After after) {
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

template <class AnyLayer>
void sweep_through(const Call& call, const AnyLayer& layer, const Kept& kept) {
    auto order = by_length(call);
    int64_t hidden = call.hidden, padded = layer.padded;
    in_parallel(call.threads, [&](int64_t part) {
        Share share(call, order, part);
        std::vector<int64_t> next(share.size());
        for (int64_t n = 0; n < share.size(); ++n) next[n] = kept.first[share.rows[n]];
        run(call, layer, share, nullptr, [&](int64_t steps, int64_t alive, const float* h, const float* c) {
            for (int64_t n = 0; n < alive; ++n)
                for (int64_t end = kept.first[share.rows[n] + 1]; next[n] < end && kept.steps[next[n]] == steps; ++next[n]) {
                    int64_t place = kept.places[next[n]] * hidden;
                    std::copy(h + n * padded, h + n * padded + hidden, kept.h + place);
                    std::copy(c + n * padded, c + n * padded + hidden, kept.c + place);
                }
        });
    });
}

void run_forward(const Call& call, const Forward& to) {
    Layer layer = layer_of(call);
    auto order = by_length(call);
    int64_t hidden = call.hidden, padded = layer.padded;
    in_parallel(call.threads, [&](int64_t part) {
        Share share(call, order, part);
        run(call, layer, share, to.gates, [&](int64_t steps, int64_t alive, const float* h, const float* c) {
            for (int64_t n = 0; n < alive; ++n) {
                int64_t row = share.rows[n];
                if (steps && to.outputs)
                    std::copy(h + n * padded, h + n * padded + hidden, to.outputs + (row * call.steps + steps - 1) * hidden);
                if (steps == share.lengths[n]) {
                    std::copy(h + n * padded, h + n * padded + hidden, to.h + row * hidden);
                    std::copy(c + n * padded, c + n * padded + hidden, to.c + row * hidden);
                }
            }
            if (steps && to.cells)
                std::copy(c, c + alive * padded, to.cells + ((steps - 1) * call.rows + share.first_slot) * padded);
        });
    });
}

void run_sweep(const Call& call, const Kept& kept) {
    Layer layer = layer_of(call);
#if WIDTH == 16 && defined(__AVX512BF16__)
    if (kept.half) return sweep_through(call, HalfLayer(layer), kept);
#endif
    sweep_through(call, layer, kept);
}

void run_backward(const Call& call, const Backward& b) {
    Layer layer = layer_of(call);
    auto order = by_length(call);
    const int64_t hidden = call.hidden, inputs = layer.inputs, padded = layer.padded, gates = layer.gates, blocks = layer.blocks;
    const int64_t bases = call.symbols ? call.symbols : 1;
    std::vector<int64_t> from(gates, -1);  // packed order to gate unit
    for (int64_t j = 0; j < GATES * hidden; ++j) from[layer.place(j)] = j;
    Matrix to_state(gates, padded, [&](int64_t k, int64_t unit) {
        return from[k] < 0 || unit >= hidden ? 0.0f : call.recurrent_map[from[k] * hidden + unit];
    });
    Matrix to_input(b.d_x ? gates : 0, inputs, [&](int64_t k, int64_t i) { return from[k] < 0 ? 0.0f : call.input_map[from[k] * inputs + i]; });

    // The gradient of all weights of a thread, as sums over samples (row, step) of [h | x | 1]ᵀ · gates' gradient.
    const int64_t seen = hidden + inputs + 1, tall = (seen + TILE - 1) / TILE * TILE;
    std::vector<Buffer> weights(call.threads), tables(call.threads);

    in_parallel(call.threads, [&](int64_t part) {
        Share share(call, order, part);
        const int64_t count = share.size();
        const int64_t piece = std::max<int64_t>(1, PIECE / std::max<int64_t>(count, 1));
        Buffer& sums = weights[part];
        sums.assign(tall * gates, 0.0f);
        if (call.symbols) tables[part].assign(bases * gates, 0.0f);
        Buffer d_h(count * to_state.padded), d_c(count * padded), d_gates(piece * count * gates), seen_by(piece * count * tall);
        Buffer d_inputs(b.d_x ? piece * count * to_input.padded : 0), starts(count * padded);
        for (int64_t n = 0; n < count; ++n) pad(call.c0 + share.rows[n] * hidden, hidden, &starts[n * padded], padded);
        std::vector<std::pair<int64_t, int64_t>> samples;  // (slot of this thread, step)
        samples.reserve(piece * count);

        auto enter = [&](int64_t n) {  // row n's last state
            for (int64_t unit = 0; unit < hidden; ++unit) {
                if (b.d_h) d_h[n * to_state.padded + unit] += b.d_h[share.rows[n] * hidden + unit];
                if (b.d_c) d_c[n * padded + unit] += b.d_c[share.rows[n] * hidden + unit];
            }
        };
        auto finish_piece = [&]() {
            const int64_t total = samples.size();
            for (int64_t s = 0; s < total; ++s) {
                auto [n, step] = samples[s];
                const int64_t row = share.rows[n];
                float* z = &seen_by[s * tall];
                const float* h_last = step ? b.outputs + (row * call.steps + step - 1) * hidden : call.h0 + row * hidden;
                std::copy(h_last, h_last + hidden, z);
                if (inputs) std::copy_n(call.x + row * call.x_row + step * call.x_step, inputs, z + hidden);
                z[hidden + inputs] = 1.0f;
                if (call.symbols) {
                    float* table = &tables[part][call.ids[row * call.x_row + step] * gates];
                    for (int64_t k = 0; k < gates; k += W) store(table + k, load(table + k) + load(&d_gates[s * gates + k]));
                }
            }
            add_transposed_product(seen_by.data(), tall, seen, d_gates.data(), gates, total, sums.data());
            if (b.d_x) {
                to_input.times<false>(d_gates.data(), gates, d_inputs.data(), to_input.padded, total);
                for (int64_t s = 0; s < total; ++s)
                    std::copy_n(&d_inputs[s * to_input.padded], inputs, b.d_x + (share.rows[samples[s].first] * call.steps + samples[s].second) * inputs);
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
                const float* gate = b.gates + (step * call.rows + slot) * gates;
                const float* cell = b.cells + (step * call.rows + slot) * padded;
                const float* cell_last = step ? cell - call.rows * padded : &starts[n * padded];
                const float* d_output = b.d_outputs ? b.d_outputs + (row * call.steps + step) * hidden : nullptr;
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
            if (b.d_h0) std::copy_n(&d_h[n * to_state.padded], hidden, b.d_h0 + share.rows[n] * hidden);
            if (b.d_c0) std::copy_n(&d_c[n * padded], hidden, b.d_c0 + share.rows[n] * hidden);
        }
    });

    for (int64_t part = 1; part < call.threads; ++part) {
        std::transform(weights[0].begin(), weights[0].end(), weights[part].begin(), weights[0].begin(), std::plus<float>());
        std::transform(tables[0].begin(), tables[0].end(), tables[part].begin(), tables[0].begin(), std::plus<float>());
    }
    for (int64_t j = 0; j < GATES * hidden; ++j) {
        const float* column = weights[0].data() + layer.place(j);
        for (int64_t k = 0; k < hidden; ++k) b.d_recurrent_map[j * hidden + k] = column[k * gates];
        for (int64_t k = 0; k < inputs; ++k) b.d_input_map[j * inputs + k] = column[(hidden + k) * gates];
        if (call.symbols)
            for (int64_t n = 0; n < bases; ++n) b.d_base[n * GATES * hidden + j] = tables[0][n * gates + layer.place(j)];
        else
            b.d_base[j] = column[(hidden + inputs) * gates];
    }
}

}  // namespace

extern "C" {

int backcast_forward(const Call* call, const Forward* to) {
    return without_exceptions([&] { run_forward(*call, *to); });
}

// Can `backcast_sweep` work in bf16?
int backcast_has_half() {
#if WIDTH == 16 && defined(__AVX512BF16__)
    return 1;
#else
    return 0;
#endif
}

int backcast_sweep(const Call* call, const Kept* kept) {
    return without_exceptions([&] { run_sweep(*call, *kept); });
}

int backcast_backward(const Call* call, const Backward* b) {
    return without_exceptions([&] { run_backward(*call, *b); });
}
}
