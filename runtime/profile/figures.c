/* How the figures of a profile are written: see figures.h. */
#include "profile/figures.h"

#include <math.h>

/* printf writes the point of the process's locale, which may be more than one byte. */
static void put_with_point(ct_text *t, const char *digits)
{
    bool in_point = false;
    for (; *digits; digits++) {
        const char c = *digits;
        const bool plain = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e';
        if (plain)
            ct_text_put(t, &c, 1);
        else if (!in_point)
            ct_text_put(t, ".", 1);
        in_point = !plain;
    }
}

void ct_say_fixed(ct_text *t, double value, int decimals)
{
    char digits[400]; /* the largest double has 309 of them */
    snprintf(digits, sizeof digits, "%.*f", decimals, value);
    put_with_point(t, isfinite(value) ? digits : "-");
}

void ct_say_prefixed(ct_text *t, double value)
{
    static const char prefixes[] = " kMGTPE";
    int prefix = 0;
    for (; fabs(value) >= 999.5 && prefixes[prefix + 1] && isfinite(value); value /= 1000) prefix++;
    const double size = fabs(value);
    const int decimals = prefix == 0 && value == floor(value) ? 0 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
    ct_say_fixed(t, value, decimals);
    if (prefix) ct_text_put(t, &prefixes[prefix], 1);
}

void ct_say_number(ct_text *t, double value, const char *missing)
{
    char digits[64];
    snprintf(digits, sizeof digits, "%.15g", value);
    if (isfinite(value))
        put_with_point(t, digits);
    else
        ct_text_add(t, "%s", missing);
}

double ct_measured(double value) { return value > 0 ? value : (double)NAN; }

double ct_ratio(double a, double b) { return b > 0 ? a / b : (double)NAN; }

double ct_row_us(const ct_profile_row *row, int64_t ns) { return ct_ratio((double)ns / 1000, (double)row->calls); }

double ct_row_rate(const ct_profile_row *row, double work)
{
    return work > 0 ? ct_ratio(work * (double)row->calls * 1e9, (double)row->ns) : (double)NAN;
}

double ct_row_roofline(const ct_profile *p, const ct_profile_row *row)
{
    const double share = ct_profile_roofline(p, row);
    return share > 0 ? 100 * share : (double)NAN;
}
