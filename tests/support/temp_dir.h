// A directory for a test's files, removed with everything in it at the end, and
// helpers that write and read whole files, plain or gzip. For any test.
#ifndef CUTAPE_TESTS_TEMP_DIR_H
#define CUTAPE_TESTS_TEMP_DIR_H

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <zlib.h>

class TempDir
{
  public:
    TempDir()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "cutape-XXXXXX").string();
        if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make " + pattern);
        dir_ = pattern;
    }
    ~TempDir()
    {
        std::error_code ignored;
        std::filesystem::remove_all(dir_, ignored);
    }
    TempDir(const TempDir &) = delete;
    TempDir &operator=(const TempDir &) = delete;

    std::string path(const std::string &name) const { return (dir_ / name).string(); }

    // Each writes a file and returns its path.
    std::string write(const std::string &name, const std::string &bytes) const
    {
        std::ofstream file(path(name), std::ios::binary | std::ios::trunc);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        if (!file.flush()) throw std::runtime_error("cannot write " + path(name));
        return path(name);
    }
    std::string write_gz(const std::string &name, const std::string &bytes) const
    {
        gzFile file = gzopen(path(name).c_str(), "wb");
        if (!file) throw std::runtime_error("cannot write " + path(name));
        bool ok = bytes.empty() || gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) > 0;
        if (gzclose(file) != Z_OK || !ok) throw std::runtime_error("cannot write " + path(name));
        return path(name);
    }
    std::string read(const std::string &name) const
    {
        std::ifstream file(path(name), std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }

  private:
    std::filesystem::path dir_;
};

#endif
