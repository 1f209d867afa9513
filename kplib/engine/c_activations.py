"""tanh and sigmoid in C99 for exported networks, in integers: faster than most C libraries'.

Without a floating-point unit every operation on floats is a call of some hundred instructions, and
the C library's ``tanhf`` makes dozens of them: it was 57 % of the instructions of the Kronecker
network of USPS on a Cortex-M3. Here e^-y is 2^-n 2^-f with f from 0 to 1 in units of 2^-32: one
product for n and f, six for a polynomial of 2^-f, each of them the high half of 32 x 32 bits (one
instruction of a Cortex-M3), and one division of floats at the end. Instructions of a call, from the
whole network's with and without it:

=====================  ===========  ========  ==================
``tanh`` on            C library's  this one  unit
=====================  ===========  ========  ==================
Cortex-M3              1,943        239       instructions
Cortex-M4F             108          59        instructions
Cortex-M55             107          55        instructions
Arduino Uno            3,081        2,927     cycles
=====================  ===========  ========  ==================

An AVR multiplies 8 bits at a time, and its C library is written in assembler: there sigmoid costs
more in integers, so that an LSTM took 9 % more cycles and 14 % more flash. It keeps ``tanhf`` and
``expf``.

The polynomial is 1 - 2^-f = f (c1 - f (c2 - ...)), of least relative error (Remez: 9.4e-9), so that
``1 - e^-2y`` keeps its digits where y is small. Largest errors, of all 2^32 floats
(tests/engine/test_c_activations.py takes every 1009th), in units in the last place:

- tanh: 1.8; 1 and -1 exactly beyond 9.01, and never downwards;
- sigmoid: 2.6, or 9.0e-8; 1 exactly above 87, and 0 below -87, where it is less than 2^-125.

Both pass NaN on. Nothing depends on how intermediate results are rounded, nor on options such as
``-ffast-math``, with which a compiler takes all numbers for finite (but it may then approximate the
division: 1.3 more). On a Cortex-M55 the C library's sigmoid is as fast as this one.
"""

import re

BITS = """\
/* tanh and sigmoid in integers of 32 bits, but for one division: at most 2.6 units in the last
   place wrong. float is IEEE's binary32; NaN stays NaN. */
static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}"""

EXPONENTIAL = """\
static uint32_t high_product(uint32_t a, uint32_t b)
{
    return (uint32_t)((uint64_t)a * b >> 32);
}

/* exp(-y) = s 2^-(32 + n), of the bits of a float y from 2^-24 to 127: return n 2^32 + s. */
static uint64_t exponential(uint32_t bits)
{
    const uint32_t exponent = bits >> 23;
    const uint32_t product = high_product(bits << 8 | 0x80000000u, 3098164009u); /* y / ln(2) */
    const int below = exponent < 126; /* 1/2, so that n is 0 */
    const uint32_t n = below ? 0 : product >> (157 - exponent);
    const uint32_t f = below ? product >> (125 - exponent) : product << (exponent - 125);
    uint32_t v = 5543858u - high_product(f, 492120u);
    v = 41215691u - high_product(f, v);
    v = 238366191u - high_product(f, v);
    v = 1031763055u - high_product(f, v);
    v = 2977044444u - high_product(f, v);
    return (uint64_t)n << 32 | ~high_product(f, v); /* 2^-f = 1 - v f 2^-64 */
}"""

TANH = """\
/* (1 - e) / (1 + e) with e = exp(-2 |x|) */
static float hyperbolic_tangent(float x)
{
    const uint32_t bits = bits_of(x), sign = bits & 0x80000000u, size = bits ^ sign;
    if (size < 0x3c800000u) /* 2^-6 */
        return x * (1.0f - x * x * 0.33333333f);
    if (size > 0x41102800u) /* 9.01 */
        return size > 0x7f800000u ? x : float_of(sign | 0x3f800000u);
    const uint64_t power = exponential(size + 0x00800000u); /* 2 |x| */
    const uint32_t e = (uint32_t)power >> 1 >> (power >> 32); /* in units of 2^-31 */
    const float y = (float)(0x80000000u - e) / (float)(0x80000000u + e);
    return float_of(sign | bits_of(y));
}"""

SIGMOID = """\
/* 1 / (1 + e) or e / (1 + e) with e = exp(-|x|) */
static float sigmoid(float x)
{
    const uint32_t bits = bits_of(x), size = bits & 0x7fffffffu;
    const int negative = bits >> 31 != 0;
    if (size < 0x33800000u) /* 2^-24 */
        return 0.5f;
    if (size > 0x42ae0000u) /* 87 */
        return size > 0x7f800000u ? x : negative ? 0.0f : 1.0f;
    const uint64_t power = exponential(size);
    const uint32_t exponent = (uint32_t)(power >> 32) + 32;
    const float e = float_of(bits_of((float)(uint32_t)power) - (exponent << 23));
    return (negative ? e : 1.0f) / (1.0f + e);
}"""

TANH_OF_LIBRARY = """\
static float hyperbolic_tangent(float x)
{
    return tanhf(x);
}"""

SIGMOID_OF_LIBRARY = """\
static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}"""


def activations(code: str) -> list[str]:
    """Return the definitions of tanh and sigmoid, of those that C code calls.

    Parameters
    ----------
    code : str
        That of a network's steps.

    Returns
    -------
    list of str
        Sections of the source, none if it calls neither.

    Examples
    --------
    >>> activations("h[k] = sum > 0.0f ? sum : 0.0f;") == []
    True
    >>> "tanhf" in "".join(activations("h[k] = sigmoid(sum); /* not hyperbolic_tangent(sum) */"))
    False
    """
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)  # whose equations name both
    called = [
        (here, library)
        for name, here, library in (
            ("hyperbolic_tangent", TANH, TANH_OF_LIBRARY),
            ("sigmoid", SIGMOID, SIGMOID_OF_LIBRARY),
        )
        if f"{name}(" in code
    ]
    if not called:
        return []
    return [
        "#ifdef __AVR__ /* its C library's are in assembler: as few cycles, and fewer bytes */",
        *(library for _, library in called),
        "#else",
        BITS,
        EXPONENTIAL,
        *(here for here, _ in called),
        "#endif",
    ]
