// A strict reader of JSON (RFC 8259), for tests of what the runtime writes: anything that the
// grammar does not allow, in names and numbers too, throws. Values are kept as a tree.
#ifndef CUTAPE_TESTS_JSON_H
#define CUTAPE_TESTS_JSON_H

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

class Json
{
  public:
    enum class Kind { Null, Bool, Number, String, Array, Object };

    static Json parse(const std::string &text)
    {
        Reader reader{text, 0};
        Json all = reader.value(0);
        reader.skip_blanks();
        if (reader.at != text.size()) reader.fail("something behind the end");
        return all;
    }

    Kind kind() const { return kind_; }
    bool is(Kind kind) const { return kind_ == kind; }

    // Each throws where it is not of that kind.
    bool boolean() const { return need(Kind::Bool), flag_; }
    double number() const { return need(Kind::Number), number_; }
    const std::string &string() const { return need(Kind::String), text_; }
    const std::vector<Json> &array() const { return need(Kind::Array), items_; }
    size_t size() const
    {
        if (!is(Kind::Object)) need(Kind::Array);
        return items_.size();
    }
    const Json &operator[](size_t i) const { return need(Kind::Array), items_.at(i); }
    // The number as it is written, for those that a double would round.
    const std::string &digits() const { return need(Kind::Number), text_; }

    // Of an object, as written.
    const std::vector<std::string> &names() const { return need(Kind::Object), names_; }
    bool has(const std::string &name) const { return need(Kind::Object), find(name) < names_.size(); }
    const Json &operator[](const std::string &name) const
    {
        need(Kind::Object);
        const size_t i = find(name);
        if (i == names_.size()) throw std::runtime_error("JSON: there is no \"" + name + "\"");
        return items_[i];
    }
    const Json &operator[](const char *name) const { return (*this)[std::string(name)]; }

  private:
    struct Reader {
        const std::string &text;
        size_t at;

        [[noreturn]] void fail(const std::string &what) const
        {
            const size_t from = at < 40 ? 0 : at - 40;
            throw std::runtime_error("JSON: " + what + " at byte " + std::to_string(at) + ": " + text.substr(from, 80));
        }
        int peek() const { return at < text.size() ? static_cast<unsigned char>(text[at]) : -1; }
        void skip_blanks()
        {
            while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at;
        }
        bool take(char c)
        {
            if (peek() != c) return false;
            ++at;
            return true;
        }
        void word(const char *letters)
        {
            for (; *letters; ++letters)
                if (!take(*letters)) fail("an unknown word");
        }

        Json value(int depth)
        {
            if (depth > 100) fail("nested too deep");
            skip_blanks();
            Json v;
            switch (peek()) {
            case 'n': word("null"); break;
            case 't': word("true"), v.kind_ = Kind::Bool, v.flag_ = true; break;
            case 'f': word("false"), v.kind_ = Kind::Bool; break;
            case '"': v.kind_ = Kind::String, v.text_ = string(); break;
            case '[': array(v, depth); break;
            case '{': object(v, depth); break;
            default: number(v);
            }
            return v;
        }
        void array(Json &v, int depth)
        {
            v.kind_ = Kind::Array;
            ++at;
            skip_blanks();
            if (take(']')) return;
            do {
                v.items_.push_back(value(depth + 1));
                skip_blanks();
            } while (take(','));
            if (!take(']')) fail("an array that does not end");
        }
        void object(Json &v, int depth)
        {
            v.kind_ = Kind::Object;
            ++at;
            skip_blanks();
            if (take('}')) return;
            do {
                skip_blanks();
                if (peek() != '"') fail("a name is missing");
                std::string name = string();
                if (v.find(name) < v.names_.size()) fail("\"" + name + "\" twice");
                v.names_.push_back(std::move(name));
                skip_blanks();
                if (!take(':')) fail("a colon is missing");
                v.items_.push_back(value(depth + 1));
                skip_blanks();
            } while (take(','));
            if (!take('}')) fail("an object that does not end");
        }

        bool digits()
        {
            const size_t first = at;
            while (peek() >= '0' && peek() <= '9') ++at;
            return at > first;
        }
        // -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
        void number(Json &v)
        {
            const size_t first = at;
            take('-');
            if (!take('0') && !digits()) fail("no value");
            if (take('.') && !digits()) fail("no digit behind the point");
            if (take('e') || take('E')) {
                if (!take('+')) take('-');
                if (!digits()) fail("no exponent");
            }
            if (peek() >= '0' && peek() <= '9') fail("a number that begins with 0");
            v.kind_ = Kind::Number;
            v.text_ = text.substr(first, at - first);
            v.number_ = std::strtod(v.text_.c_str(), nullptr);
        }

        uint32_t four_digits()
        {
            uint32_t code = 0;
            for (int i = 0; i < 4; ++i, ++at) {
                const int c = peek();
                const int digit = c >= '0' && c <= '9'   ? c - '0'
                                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                         : -1;
                if (digit < 0) fail("no hexadecimal digit");
                code = code * 16 + static_cast<uint32_t>(digit);
            }
            return code;
        }
        static void put(std::string &out, uint32_t code)
        {
            const auto byte = [&](uint32_t bits) { out += static_cast<char>(bits); };
            if (code < 0x80) return byte(code);
            if (code < 0x800) return byte(0xc0 | code >> 6), byte(0x80 | (code & 63));
            if (code < 0x10000)
                byte(0xe0 | code >> 12);
            else
                byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 63));
            byte(0x80 | (code >> 6 & 63)), byte(0x80 | (code & 63));
        }
        void escape(std::string &out)
        {
            switch (const int c = peek(); ++at, c) {
            case '"':
            case '\\':
            case '/': out += static_cast<char>(c); return;
            case 'b': out += '\b'; return;
            case 'f': out += '\f'; return;
            case 'n': out += '\n'; return;
            case 'r': out += '\r'; return;
            case 't': out += '\t'; return;
            case 'u': break;
            default: fail("an unknown escape");
            }
            uint32_t code = four_digits();
            if (code >= 0xdc00 && code < 0xe000) fail("half a pair of surrogates");
            if (code >= 0xd800 && code < 0xdc00) {
                word("\\u");
                const uint32_t low = four_digits();
                if (low < 0xdc00 || low >= 0xe000) fail("half a pair of surrogates");
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
            put(out, code);
        }
        // One character as it stands: UTF-8 that decodes to what encodes the same, so nothing overlong.
        void plain(std::string &out)
        {
            const int first = peek();
            const size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
            uint32_t code = static_cast<uint32_t>(n == 1 ? first : first & (0x7f >> n));
            for (size_t i = 1; i < n; ++i) {
                const int c = at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
                if ((c & 0xc0) != 0x80) fail("no UTF-8");
                code = code << 6 | static_cast<uint32_t>(c & 63);
            }
            std::string again;
            put(again, code);
            if (again != text.substr(at, n) || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) fail("no UTF-8");
            out += again;
            at += n;
        }
        std::string string()
        {
            std::string out;
            ++at;
            while (!take('"')) {
                if (at >= text.size()) fail("a string that does not end");
                if (peek() < 0x20) fail("a control character");
                if (take('\\'))
                    escape(out);
                else
                    plain(out);
            }
            return out;
        }
    };

    size_t find(const std::string &name) const
    {
        size_t i = 0;
        while (i < names_.size() && names_[i] != name) ++i;
        return i;
    }
    void need(Kind kind) const
    {
        static const char *const words[] = {"null", "a truth value", "a number", "a string", "an array", "an object"};
        if (kind_ != kind)
            throw std::runtime_error(std::string("JSON: ") + words[static_cast<int>(kind_)] + " where " +
                                     words[static_cast<int>(kind)] + " was wanted");
    }

    Kind kind_ = Kind::Null;
    bool flag_ = false;
    double number_ = 0;
    std::string text_;
    std::vector<std::string> names_; // of an object's items
    std::vector<Json> items_;
};

#endif
