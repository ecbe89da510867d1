// Scheduled sampling's first pass: what a decoder is fed when it is fed, now and then, its own output. Step by
// step through one or two LSTM layers and a feed-forward network, without a gradient. `sample_inputs` in
// objectives/reconstruction.py is the slow form; a test holds the two together.
//
// Threads share out the rows and never wait for each other.

#include <cmath>
#include <optional>

#include "layer.h"

extern "C" {

// Dimensions: N rows, L inputs, C channels or a number of symbols, H hidden, F wide, O outputs. All arrays are
// float32 and dense but for truth and fed of symbols, which are int64, and feed_truth, which is bytes.
struct Decode {
    int64_t threads, rows, steps, channels, symbols, cues, hidden, wide, outputs;
    const void* truth;           // (N, L, C), or symbols (N, L)
    const uint8_t* feed_truth;   // (N, L); the first input is always the truth
    const float* uniform;        // (N, L) in [0, 1): the draws of symbols; not read otherwise
    const float *h0, *c0;        // (N, H), the bottom layer's first state; the top layer begins with zeros
    const float *bottom_input, *bottom_recurrent, *bottom_base;  // (4H, C), (4H, H), (4H,) or (symbols, 4H)
    const int64_t* place;        // (N, L), which cue
    const float* cue;            // (cues, 4H), added to the bottom layer's gates; null: no cues
    const float *top_input, *top_recurrent, *top_base;           // (4H, H), (4H, H), (4H,); null: one layer only
    const float *first, *first_bias, *second, *second_bias, *last, *last_bias;  // (F, H), (F, F), (O, F)
    void* fed;                   // written: as truth
};
}

namespace {

Matrix transposed(const float* weight, const float* bias, int64_t inputs, int64_t outputs) {
    return Matrix(inputs, outputs, [=](int64_t k, int64_t j) { return weight[j * inputs + k]; }, bias);
}

// The symbol at which the running sum of the softmax of `logits` passes `uniform`.
int64_t draw(const float* logits, int64_t count, float uniform) {
    float largest = *std::max_element(logits, logits + count), total = 0, sum = 0;
    for (int64_t j = 0; j < count; ++j) total += std::exp(logits[j] - largest);
    for (int64_t j = 0; j < count; ++j) {
        sum += std::exp(logits[j] - largest);
        if (sum > uniform * total) return j;
    }
    return count - 1;
}

void run_decode(const Decode& call) {
    const int64_t hidden = call.hidden, channels = call.channels, length = call.steps;
    const Layer bottom(hidden, channels, call.bottom_input, call.bottom_recurrent, call.bottom_base, std::max<int64_t>(call.symbols, 1));
    std::optional<Layer> top;
    if (call.top_input) top.emplace(hidden, hidden, call.top_input, call.top_recurrent, call.top_base, 1);
    const Matrix first = transposed(call.first, call.first_bias, hidden, call.wide);
    const Matrix second = transposed(call.second, call.second_bias, call.wide, call.wide);
    const Matrix last = transposed(call.last, call.last_bias, call.wide, call.outputs);
    const int64_t padded = bottom.padded;
    Buffer cues(call.cue ? call.cues * bottom.gates : 0);
    if (call.cue) bottom.pack(call.cue, call.cues, cues.data());

    in_parallel(call.threads, [&](int64_t part) {
        const int64_t begin = call.rows * part / call.threads, count = call.rows * (part + 1) / call.threads - begin;
        Buffer states(6 * count * padded), one(count * first.padded), two(count * second.padded), three(count * last.padded);
        float *h = states.data(), *h_next = h + count * padded, *c = h_next + count * padded;
        float *upper = c + count * padded, *upper_next = upper + count * padded, *upper_c = upper_next + count * padded;
        Buffer cued(call.cue ? count * bottom.gates : 0);
        std::vector<const float*> x(count), start(count), below(count), base(count, top ? top->base.data() : nullptr);
        for (int64_t n = 0; n < count; ++n) {
            pad(call.h0 + (begin + n) * hidden, hidden, h + n * padded, padded);
            pad(call.c0 + (begin + n) * hidden, hidden, c + n * padded, padded);
        }
        for (int64_t step = 0; step < length; ++step) {
            for (int64_t n = 0; n < count; ++n) {  // what is fed, and where the bottom layer finds it
                const int64_t at = (begin + n) * length + step;
                const bool truth = step == 0 || call.feed_truth[at];
                if (call.symbols) {
                    int64_t* fed = static_cast<int64_t*>(call.fed) + at;
                    *fed = truth ? static_cast<const int64_t*>(call.truth)[at] : draw(&three[n * last.padded], call.outputs, call.uniform[at]);
                    start[n] = &bottom.base[*fed * bottom.gates];
                } else {
                    float* fed = static_cast<float*>(call.fed) + at * channels;
                    std::copy_n(truth ? static_cast<const float*>(call.truth) + at * channels : &three[n * last.padded], channels, fed);
                    x[n] = fed;
                    start[n] = bottom.base.data();
                }
                if (call.cue) {
                    float* sum = &cued[n * bottom.gates];
                    const float* cue = &cues[call.place[at] * bottom.gates];
                    for (int64_t j = 0; j < bottom.gates; ++j) sum[j] = start[n][j] + cue[j];
                    start[n] = sum;
                }
            }
            if (step + 1 == length) break;
            bottom.step(x.data(), start.data(), h, h_next, c, nullptr, count);
            std::swap(h, h_next);
            const float* seen = h;
            if (top) {
                for (int64_t n = 0; n < count; ++n) below[n] = h + n * padded;
                top->step(below.data(), base.data(), upper, upper_next, upper_c, nullptr, count);
                std::swap(upper, upper_next);
                seen = upper;
            }
            first.times<true>(seen, padded, one.data(), first.padded, count);
            second.times<true>(one.data(), first.padded, two.data(), second.padded, count);
            last.times<false>(two.data(), second.padded, three.data(), last.padded, count);
        }
    });
}

}  // namespace

extern "C" int backcast_decode(const Decode* call) {
    return without_exceptions([&] { run_decode(*call); });
}
