// Reads HTML that is written like XML, strictly: tags that nest, attributes in quotes that do not repeat, no bare < or
// &, no control characters. The text of <style> and <script> is taken as it is. For tests of what writes pages.
#ifndef CUTAPE_TESTS_MARKUP_H
#define CUTAPE_TESTS_MARKUP_H

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

struct Element {
    std::string name;
    std::map<std::string, std::string> attributes;
    std::string text;           // its own and that of what is in it
    std::vector<size_t> within; // the elements around it, from the outermost

    std::string operator[](const std::string &attribute) const
    {
        const auto found = attributes.find(attribute);
        return found == attributes.end() ? std::string() : found->second;
    }
    // An attribute that is one number and nothing else.
    double number(const std::string &attribute) const
    {
        const std::string digits = (*this)[attribute];
        char *end = nullptr;
        const double value = std::strtod(digits.c_str(), &end);
        if (digits.empty() || *end || digits.find_first_not_of("0123456789.-") != std::string::npos)
            throw std::runtime_error("<" + name + " " + attribute + "=\"" + digits + "\"> is no number");
        return value;
    }
    bool has_class(const std::string &word) const
    {
        return (" " + (*this)["class"] + " ").find(" " + word + " ") != std::string::npos;
    }
};

// Elements in the order in which they begin.
class Markup
{
  public:
    static std::vector<Element> parse(const std::string &text)
    {
        Markup reader(text);
        while (reader.at_ < text.size()) reader.next();
        if (!reader.open_.empty()) throw std::runtime_error("<" + reader.innermost().name + "> is not closed");
        return reader.all_;
    }

  private:
    explicit Markup(const std::string &text) : text_(text) {}

    [[noreturn]] void fail(const std::string &why) const
    {
        throw std::runtime_error(why + " at: " + text_.substr(at_, 60));
    }
    Element &innermost() { return all_[open_.back()]; }
    bool starts(const char *with) const { return text_.compare(at_, std::char_traits<char>::length(with), with) == 0; }

    void next()
    {
        if (starts("<!DOCTYPE html>"))
            at_ += 15;
        else if (starts("</"))
            close();
        else if (starts("<"))
            open();
        else
            say(character());
    }
    void say(const std::string &piece)
    {
        for (const size_t i : open_) all_[i].text += piece;
    }
    // One, with entities resolved.
    std::string character()
    {
        const auto c = static_cast<unsigned char>(text_[at_]);
        if ((c < 0x20 && c != '\n') || c == '<') fail("a character that may not stand there");
        if (c != '&') return text_.substr(at_++, 1);
        const size_t end = text_.find(';', at_);
        if (end == std::string::npos || text_[at_ + 1] != '#' || end - at_ > 5) fail("a bare &");
        const int code = std::atoi(text_.substr(at_ + 2, end - at_ - 2).c_str());
        at_ = end + 1;
        return std::string(1, static_cast<char>(code));
    }
    std::string word()
    {
        const size_t end =
            text_.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", at_);
        if (end == std::string::npos || end == at_) fail("no name");
        const std::string found = text_.substr(at_, end - at_);
        at_ = end;
        return found;
    }
    void open()
    {
        at_++;
        Element e;
        e.name = word();
        e.within = open_;
        while (text_[at_] == ' ') {
            at_++;
            const std::string name = word();
            if (!starts("=\"")) fail("an attribute without quotes");
            std::string value;
            for (at_ += 2; text_[at_] != '"';) value += character();
            at_++;
            if (!e.attributes.emplace(name, value).second) fail("an attribute twice, before");
        }
        const bool empty = starts("/>") || e.name == "meta" || e.name == "link";
        if (!starts("/>") && !starts(">")) fail("a tag that does not end");
        at_ += starts("/>") ? 2 : 1;
        all_.push_back(e);
        if (empty) return;
        open_.push_back(all_.size() - 1);
        if (e.name != "style" && e.name != "script") return;
        const size_t end = text_.find("</" + e.name + ">", at_);
        if (end == std::string::npos) fail("no end of it");
        all_.back().text = text_.substr(at_, end - at_);
        at_ = end;
    }
    void close()
    {
        at_ += 2;
        const std::string name = word();
        if (open_.empty() || innermost().name != name || text_[at_] != '>') fail("the end of what is not open");
        at_++;
        open_.pop_back();
    }

    const std::string &text_;
    size_t at_ = 0;
    std::vector<Element> all_;
    std::vector<size_t> open_;
};

#endif
