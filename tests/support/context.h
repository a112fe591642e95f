// A context for a test, on whichever device the run asks for, and short ways to
// make and read tensors. A helper that fails throws, which fails the test.
//
// CUTAPE_TEST_DEVICES lists the devices, by comma: `cpu`, `cuda`, or `name=path`
// for a device module at that path. Unset, it is the CPU. CUTAPE_TEST_ANOMALY=1 makes
// every context in anomaly mode.
#ifndef CUTAPE_TESTS_CONTEXT_H
#define CUTAPE_TESTS_CONTEXT_H

#include <cutape/cutape.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct DeviceChoice {
    std::string name;   // in test names: letters, digits, underscores
    int32_t device;     // CT_DEVICE_*
    std::string module; // path of a device module, or empty
};

inline std::vector<DeviceChoice> find_devices()
{
    const char *list = std::getenv("CUTAPE_TEST_DEVICES");
    std::stringstream items(list && *list ? list : "cpu");
    std::vector<DeviceChoice> found;
    for (std::string item; std::getline(items, item, ',');) {
        const size_t equals = item.find('=');
        if (equals != std::string::npos)
            found.push_back({item.substr(0, equals), CT_DEVICE_CUDA, item.substr(equals + 1)});
        else if (item == "cpu")
            found.push_back({item, CT_DEVICE_CPU, {}});
        else if (item == "cuda")
            found.push_back({item, CT_DEVICE_CUDA, {}});
        else
            throw std::runtime_error("CUTAPE_TEST_DEVICES: what device is \"" + item + "\"?");
    }
    return found;
}

// Never empty, and the same in the whole run.
inline const std::vector<DeviceChoice> &devices()
{
    static const std::vector<DeviceChoice> found = find_devices();
    return found;
}

// The stand-in for a GPU is exact and slow: what is long there is done shorter.
inline bool on_stand_in() { return devices().front().name == "simt"; }

inline ct_config device_config(const DeviceChoice &choice = devices().front())
{
    ct_config config = {};
    config.device = choice.device;
    config.device_module = choice.module.empty() ? nullptr : choice.module.c_str();
    return config;
}

inline size_t element_bytes(ct_dtype dtype) { return dtype == CT_U8 ? 1 : dtype == CT_F32 || dtype == CT_I32 ? 4 : 8; }

// Owns a ct_context. An error still standing on it at the end fails the test.
class Context
{
  public:
    explicit Context(const DeviceChoice &choice = devices().front(), ct_config config = {})
    {
        const ct_config device = device_config(choice);
        config.device = device.device;
        config.device_module = device.device_module;
        if (const char *anomaly = std::getenv("CUTAPE_TEST_ANOMALY")) config.detect_anomaly = anomaly[0] == '1';
        const ct_status status = ct_create(&config, &ctx_);
        if (status == CT_OK) return;
        const std::string why = ctx_ ? ct_error_message(ctx_) : "out of memory";
        ct_destroy(ctx_);
        throw std::runtime_error("ct_create on " + choice.name + ": " + ct_status_name(status) + ": " + why);
    }
    ~Context()
    {
        if (ct_error(ctx_) != CT_OK) ADD_FAILURE() << "an error was left standing: " << ct_error_message(ctx_);
        ct_destroy(ctx_);
    }
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;
    operator ct_context *() const { return ctx_; }

    // Throws unless the status of a call is CT_OK.
    void check(ct_status status, const char *what) const
    {
        if (status == CT_OK) return;
        throw std::runtime_error(std::string(what) + ": " + ct_status_name(status) + ": " + ct_error_message(ctx_));
    }
    ct_tensor check(ct_tensor x, const char *what) const
    {
        if (x.bits == 0) check(ct_error(ctx_) == CT_OK ? CT_ERR_ARGUMENT : ct_error(ctx_), what);
        return x;
    }

    ct_tensor leaf(ct_dtype dtype, const std::vector<int64_t> &shape, const std::vector<double> &values)
    {
        const std::vector<unsigned char> bytes = encode(dtype, values);
        return check(ct_leaf(ctx_, dtype, static_cast<int>(shape.size()), shape.data(), bytes.data()), "ct_leaf");
    }
    void write(ct_tensor x, const std::vector<double> &values)
    {
        const std::vector<unsigned char> bytes = encode(static_cast<ct_dtype>(describe(x).dtype), values);
        check(ct_write(ctx_, x, bytes.data(), bytes.size()), "ct_write");
    }
    std::vector<double> read(ct_tensor x)
    {
        const ct_info info = describe(x);
        const ct_dtype dtype = static_cast<ct_dtype>(info.dtype);
        std::vector<unsigned char> bytes(static_cast<size_t>(info.numel) * element_bytes(dtype));
        check(ct_read(ctx_, x, bytes.data(), bytes.size()), "ct_read");
        return decode(dtype, bytes);
    }
    ct_info describe(ct_tensor x)
    {
        ct_info info;
        check(ct_describe(ctx_, x, &info), "ct_describe");
        return info;
    }
    std::vector<int64_t> shape(ct_tensor x)
    {
        const ct_info info = describe(x);
        return std::vector<int64_t>(info.shape, info.shape + info.ndim);
    }
    void end_step() { check(ct_step_end(ctx_), "ct_step_end"); }

  private:
    template <typename T> static void pack(std::vector<unsigned char> &bytes, const std::vector<double> &values)
    {
        bytes.resize(values.size() * sizeof(T));
        for (size_t i = 0; i < values.size(); ++i) {
            const T value = static_cast<T>(values[i]);
            std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
        }
    }
    template <typename T> static void unpack(std::vector<double> &values, const std::vector<unsigned char> &bytes)
    {
        values.resize(bytes.size() / sizeof(T));
        for (size_t i = 0; i < values.size(); ++i) {
            T value;
            std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
            values[i] = static_cast<double>(value);
        }
    }
    static std::vector<unsigned char> encode(ct_dtype dtype, const std::vector<double> &values)
    {
        std::vector<unsigned char> bytes;
        switch (dtype) {
        case CT_F32: pack<float>(bytes, values); break;
        case CT_F64: pack<double>(bytes, values); break;
        case CT_I32: pack<int32_t>(bytes, values); break;
        case CT_U8: pack<uint8_t>(bytes, values); break;
        case CT_I64: pack<int64_t>(bytes, values); break;
        }
        return bytes;
    }
    static std::vector<double> decode(ct_dtype dtype, const std::vector<unsigned char> &bytes)
    {
        std::vector<double> values;
        switch (dtype) {
        case CT_F32: unpack<float>(values, bytes); break;
        case CT_F64: unpack<double>(values, bytes); break;
        case CT_I32: unpack<int32_t>(values, bytes); break;
        case CT_U8: unpack<uint8_t>(values, bytes); break;
        case CT_I64: unpack<int64_t>(values, bytes); break;
        }
        return values;
    }

    ct_context *ctx_ = nullptr;
};

#endif
