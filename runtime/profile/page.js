// Sorts a table by the column whose title is clicked: numbers from the largest, what is missing last, text by letters;
// a second click turns it round.
(function () {
    "use strict";
    var prefixes = {k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18};

    function number(cell) {
        var text = cell.textContent;
        return parseFloat(text) * (prefixes[text.slice(-1)] || 1);
    }

    function compare(column, is_number, sign) {
        return function (a, b) {
            a = a.cells[column];
            b = b.cells[column];
            if (!is_number) return sign * a.textContent.localeCompare(b.textContent);
            var x = number(a), y = number(b);
            return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (y - x);
        };
    }

    function sort(title) {
        var table = title.closest("table"), body = table.tBodies[0], column = title.cellIndex;
        var is_number = title.classList.contains("number"), first = is_number ? "descending" : "ascending";
        var turned = title.getAttribute("aria-sort") === first;
        var rows = Array.from(body.rows).sort(compare(column, is_number, turned ? -1 : 1));
        table.querySelectorAll("th").forEach(function (th) { th.removeAttribute("aria-sort"); });
        title.setAttribute("aria-sort", turned === is_number ? "ascending" : "descending");
        rows.forEach(function (row) { body.appendChild(row); });
    }

    document.documentElement.classList.add("sorts");
    document.querySelectorAll("th").forEach(function (title) {
        title.tabIndex = 0;
        title.addEventListener("click", function () { sort(title); });
        title.addEventListener("keydown", function (event) { if (event.key === "Enter") sort(title); });
    });
})();
