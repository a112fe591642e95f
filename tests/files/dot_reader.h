// Reads what ct_tape_to_dot writes, and nothing else: a line that is not a node, an edge,
// a cluster or one of the four lines in front, an escape that Graphviz would not give
// back, an id that is there twice or not at all, throws.
#ifndef CUTAPE_TESTS_DOT_READER_H
#define CUTAPE_TESTS_DOT_READER_H

#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct DotNode {
    std::string id, cluster; // cluster "": outside of all
    std::map<std::string, std::string> attributes;
    std::string label() const { return attributes.at("label"); }
    bool dashed() const { return attributes.at("style").find("dashed") != std::string::npos; }
    bool red() const { return attributes.count("penwidth") != 0; }
    std::string colour() const { return attributes.count("fillcolor") ? attributes.at("fillcolor") : ""; }
};

struct DotEdge {
    std::string tail, head;
    std::map<std::string, std::string> attributes;
    std::string label() const { return attributes.count("label") ? attributes.at("label") : ""; }
    bool dashed() const { return attributes.at("style") == "dashed"; }
    bool grey() const { return attributes.count("color") != 0; }
};

class Dot
{
  public:
    explicit Dot(const std::string &text)
    {
        std::istringstream lines(text);
        std::string line;
        expect(std::getline(lines, line) && line == "digraph tape {", line);
        while (std::getline(lines, line)) {
            expect(!closed_, line);
            read(line);
        }
        expect(closed_, "the end");
        for (const DotEdge &edge : edges) expect(nodes.count(edge.tail) && nodes.count(edge.head), edge.tail);
    }

    const DotNode &node(const std::string &id) const { return nodes.at(id); }
    const DotNode &record(int number) const { return node("r" + std::to_string(number)); }
    // The node whose label begins with these words; throws if there is not exactly one.
    const DotNode &labelled(const std::string &words) const
    {
        const DotNode *found = nullptr;
        for (const auto &[id, node] : nodes) {
            if (node.label().compare(0, words.size(), words) != 0) continue;
            if (found) throw std::runtime_error("two nodes begin with " + words);
            found = &node;
        }
        if (!found) throw std::runtime_error("no node begins with " + words);
        return *found;
    }

    std::string title;
    std::vector<std::string> clusters;
    std::map<std::string, DotNode> nodes;
    std::vector<DotEdge> edges;

  private:
    static void expect(bool fine, const std::string &line)
    {
        if (!fine) throw std::runtime_error("not a line of a drawing: " + line);
    }

    void read(const std::string &line)
    {
        if (line == "}") {
            expect(cluster_.empty(), line);
            closed_ = true;
        } else if (line == "  }") {
            expect(!cluster_.empty(), line);
            cluster_.clear();
        } else if (line.compare(0, 19, "  subgraph cluster_") == 0) {
            expect(cluster_.empty() && line.back() == ';', line);
            cluster_ = line.substr(19, line.find(' ', 19) - 19);
            clusters.push_back(cluster_);
        } else if (line.compare(0, 9, "  label=\"") == 0) {
            title = attributes(line.substr(2)).at("label");
        } else {
            read_statement(line);
        }
    }

    void read_statement(const std::string &line)
    {
        const size_t start = cluster_.empty() ? 2 : 4, bracket = line.find(" [");
        expect(bracket != std::string::npos && line.compare(line.size() - 2, 2, "];") == 0, line);
        const std::string what = line.substr(start, bracket - start);
        const auto list = attributes(line.substr(bracket + 2, line.size() - bracket - 3));
        const size_t arrow = what.find(" -> ");
        if (what == "graph" || what == "node" || what == "edge") return;
        if (arrow != std::string::npos) {
            expect(cluster_.empty(), line);
            edges.push_back({what.substr(0, arrow), what.substr(arrow + 4), list});
        } else {
            expect(what.find(' ') == std::string::npos && nodes.count(what) == 0, line);
            nodes[what] = {what, cluster_, list};
        }
    }

    // key=value, key="value" up to a ] or ;
    static std::map<std::string, std::string> attributes(const std::string &text)
    {
        std::map<std::string, std::string> list;
        for (size_t at = 0;;) {
            const size_t equals = text.find('=', at);
            expect(equals != std::string::npos, text);
            const std::string key = text.substr(at, equals - at);
            at = equals + 1;
            if (text[at] == '"') {
                list[key] = quoted(text, ++at);
            } else {
                const size_t end = text.find_first_of(",];", at);
                expect(end != std::string::npos, text);
                list[key] = text.substr(at, end - at);
                at = end;
            }
            if (text[at] == ']' || text[at] == ';') return list;
            expect(text.compare(at, 2, ", ") == 0, text);
            at += 2;
        }
    }

    // What Graphviz shows of a quoted label; `at` goes behind the closing quote.
    static std::string quoted(const std::string &text, size_t &at)
    {
        std::string shown;
        for (; text.at(at) != '"'; ++at) {
            const char c = text[at];
            if (c == '\\') {
                const char next = text.at(++at);
                expect(next == '\\' || next == '"' || next == 'n', text);
                shown += next == 'n' ? '\n' : next;
            } else if (c == '&') {
                expect(text.compare(at, 5, "&amp;") == 0, text);
                shown += '&';
                at += 4;
            } else {
                expect(static_cast<unsigned char>(c) >= 0x20, text);
                shown += c;
            }
        }
        ++at;
        return shown;
    }

    std::string cluster_;
    bool closed_ = false;
};

#endif
