// What a test says of an error: its status, and words that its message must have.
#ifndef CUTAPE_TESTS_ERRORS_H
#define CUTAPE_TESTS_ERRORS_H

#include <cutape/cutape.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

inline ::testing::AssertionResult says(ct_context *ctx, std::initializer_list<const char *> words)
{
    const std::string message = ct_error_message(ctx);
    for (const char *word : words)
        if (message.find(word) == std::string::npos)
            return ::testing::AssertionFailure() << "\"" << message << "\" does not say \"" << word << "\"";
    return ::testing::AssertionSuccess();
}

// An error of this status stands, with these words in its message. It is cleared.
inline ::testing::AssertionResult failed(ct_context *ctx, ct_status status, std::initializer_list<const char *> words)
{
    const ct_status standing = ct_error(ctx);
    ::testing::AssertionResult result =
        standing == status ? says(ctx, words)
                           : ::testing::AssertionFailure() << ct_status_name(standing) << " stands, not "
                                                           << ct_status_name(status) << ": " << ct_error_message(ctx);
    ct_clear_error(ctx);
    return result;
}

// A query that failed: it returned `status`, none stands, and the message has these words.
inline ::testing::AssertionResult reported(ct_context *ctx, ct_status returned, ct_status status,
                                           std::initializer_list<const char *> words)
{
    if (returned != status)
        return ::testing::AssertionFailure() << "returned " << ct_status_name(returned) << ", not "
                                             << ct_status_name(status) << ": " << ct_error_message(ctx);
    if (ct_error(ctx) != CT_OK) {
        ct_clear_error(ctx);
        return ::testing::AssertionFailure() << "a query left its error standing";
    }
    return says(ctx, words);
}

#endif
