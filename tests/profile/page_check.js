// What is wrong with the page as a browser shows it, as JSON in an element of its own: page_shown.py puts this behind
// the page, and the part about errors before it.
(function () {
    "use strict";
    var wrong = window.wrong, found = {};

    function expect(holds, what) { if (!holds) wrong.push(what); }
    function each(selector, run, within) { (within || document).querySelectorAll(selector).forEach(run); }
    function count(selector) { return document.querySelectorAll(selector).length; }
    function name(text) { return '"' + text.textContent + '"'; }

    // ---- sections ----
    each("section", function (section) {
        var title = section.querySelector("h1, h2"), box = section.getBoundingClientRect(), id = section.id || section.className;
        expect(title && title.textContent.length > 3, id + " has no title");
        expect(box.width > 400 && box.height > 60, id + " is only " + box.width + " by " + box.height);
        expect(section.checkVisibility(), id + " is not visible");
    });
    expect(document.scrollingElement.scrollWidth <= window.innerWidth,
           "the page is wider than its window: " + document.scrollingElement.scrollWidth);
    each("svg", function (svg) {
        var box = svg.getBoundingClientRect();
        expect(box.width > 500 && box.height > 100, "a drawing of " + box.width + " by " + box.height);
        expect(svg.querySelectorAll("rect, circle, path").length > 3, "a drawing of nothing");
    });

    // ---- text in drawings: a text's corners, turned as it is ----
    function corners(text) {
        var b = text.getBBox(), m = text.getScreenCTM();
        return [[b.x, b.y], [b.x + b.width, b.y], [b.x + b.width, b.y + b.height], [b.x, b.y + b.height]].map(
            function (p) { return [m.a * p[0] + m.c * p[1] + m.e, m.b * p[0] + m.d * p[1] + m.f]; });
    }
    // Is there a line between the two, along a side of the first?
    function parted(p, q) {
        return [0, 1].some(function (side) {
            var x = p[side][1] - p[side + 1][1], y = p[side + 1][0] - p[side][0];
            var along = function (point) { return (point[0] * x + point[1] * y) / Math.hypot(x, y); };
            var a = p.map(along), b = q.map(along);
            return Math.max.apply(null, a) <= Math.min.apply(null, b) + 1 || Math.max.apply(null, b) <= Math.min.apply(null, a) + 1;
        });
    }
    each("svg", function (svg) {
        var box = svg.getBoundingClientRect(), texts = Array.from(svg.querySelectorAll("text")), boxes = texts.map(corners);
        texts.forEach(function (text, i) {
            boxes[i].forEach(function (p) {
                expect(p[0] >= box.left - 1 && p[0] <= box.right + 1 && p[1] >= box.top - 1 && p[1] <= box.bottom + 1,
                       name(text) + " leaves its drawing");
            });
            for (var k = 0; k < i; k++)
                expect(parted(boxes[i], boxes[k]) || parted(boxes[k], boxes[i]), name(text) + " is over " + name(texts[k]));
        });
        each(".label", function (label) {
            var inner = label.getBoundingClientRect(), outer = label.previousElementSibling.getBoundingClientRect();
            expect(inner.left >= outer.left && inner.right <= outer.right, name(label) + " is wider than its rectangle");
        }, svg);
    });

    // ---- contrast, as WCAG has it ----
    function light(colour) {
        var parts = colour.match(/[\d.]+/g).slice(0, 3).map(function (part) {
            var v = part / 255;
            return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    }
    function contrast(a, b) {
        var x = light(a) + 0.05, y = light(b) + 0.05;
        return Math.max(x, y) / Math.min(x, y);
    }
    each(".label", function (label) {
        var seen = contrast(getComputedStyle(label).fill, getComputedStyle(label.previousElementSibling).fill);
        expect(seen >= 4.5, name(label) + " has contrast " + seen.toFixed(1));
    });
    each(".axis, .note, th", function (text) {
        var style = getComputedStyle(text), card = text.closest(".plot") || text.closest("th") || document.body;
        var seen = contrast(text.closest("svg") ? style.fill : style.color, getComputedStyle(card).backgroundColor);
        expect(seen >= 4.5, name(text) + " has contrast " + seen.toFixed(1));
    });

    // ---- sorting ----
    function column(title) {
        return Array.from(document.querySelectorAll("#table tbody tr")).map(function (row) {
            return parseFloat(row.cells[title.cellIndex].textContent);
        });
    }
    // What is missing comes last.
    function is_sorted(values, sign) {
        return values.every(function (v, i) { return i === 0 || isNaN(v) || sign * (v - values[i - 1]) >= 0; });
    }
    each("#table th", function (title) {
        if (["us", "#", "GFLOP/s"].indexOf(title.textContent) < 0) return;
        title.click();
        expect(is_sorted(column(title), -1), "a click on " + title.textContent + " does not sort, the largest first");
        title.click();
        expect(is_sorted(column(title), 1), "a second click on " + title.textContent + " does not turn it round");
        expect(!is_sorted(column(title), -1), "all of " + title.textContent + " is the same");
    });
    expect(count("#table tbody tr") > 10 && document.querySelector("#table tbody").textContent.indexOf("-") >= 0,
           "no row lacks a figure, as that of what has no FLOPs does");
    var phase = Array.from(document.querySelectorAll("#table th")).find(function (th) { return th.textContent === "phase"; });
    phase.click();
    var phases = Array.from(document.querySelectorAll("#table tbody tr")).map(function (r) { return r.cells[phase.cellIndex].textContent; });
    expect(phases.join() === phases.slice().sort().join(), "a click on phase does not sort: " + phases);
    expect(phase.getAttribute("aria-sort") === "ascending" && count("#table th[aria-sort]") === 1, "no title says how it is sorted");

    found.dark = matchMedia("(prefers-color-scheme: dark)").matches;
    found.width = window.innerWidth;
    found.rows = count("#table tbody tr");
    found.launches = count("#timeline rect.launch");
    found.dots = count("#roofline circle.dot");
    found.values = count(".memory rect.value");
    found.sections = Array.from(document.querySelectorAll("section")).map(function (s) { return s.id || s.className; });
    found.wrong = wrong;
    var out = document.createElement("pre");
    out.id = "found";
    out.textContent = JSON.stringify(found);
    document.body.appendChild(out);
})();
