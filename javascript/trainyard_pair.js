/* A pair of images: what is wrong with it, where the two differ and by how much, as soon as both are there. */
(function () {
    "use strict";

    const {byId, ask, say, make, write, number, addPanel} = window.trainyard;

    const LOOK_EVERY = 500;
    const NEARLY_ALL = 0.9;
    const TYPED = "textarea, input[type=text], input:not([type])";

    function build(panel) {
        const text = make("div", "pair-text");
        text.setAttribute("role", "status");
        const figure = make("figure");
        figure.hidden = true;
        const image = document.createElement("img");
        figure.append(image, make("figcaption", "", say("pair.legend")));
        panel.append(figure, text);
        panel.parts = {text, figure, image};
        panel.asked = "";
        panel.typed = "";
        setInterval(() => look(panel), LOOK_EVERY);
    }

    /* Wherever the fields' paths come from: typed, dropped, or from a preset. */
    function look(panel) {
        if (panel.offsetParent === null || document.hidden) return;
        const asked = {};
        for (const name of ["original_image", "target_image"]) {
            const field = byId(name) && byId(name).querySelector(TYPED);
            asked[name] = field ? field.value.trim() : "";
        }
        const now = JSON.stringify(asked);
        const settled = now === panel.typed; // nothing was typed since the last look
        panel.typed = now;
        if (!settled || now === panel.asked) return;
        panel.asked = now;
        compare(panel, asked, now);
    }

    async function compare(panel, asked, now) {
        const {text, figure} = panel.parts;
        if (!asked.original_image && !asked.target_image) {
            figure.hidden = true;
            text.replaceChildren();
            return;
        }
        const waiting = setTimeout(() => panel.asked === now && tell(panel, [["note", say("pair.comparing")]]), 300);
        try {
            const answer = await ask("pair", {mode: "ADDifT", ...asked});
            if (panel.asked === now) show(panel, answer);
        } catch (error) {
            if (panel.asked !== now) return;
            figure.hidden = true;
            tell(panel, [["wrong", error.message]]);
        } finally {
            clearTimeout(waiting);
        }
    }

    function tell(panel, lines) {
        panel.parts.text.replaceChildren(...lines.map(([kind, words]) => make("p", kind, words)));
    }

    function show(panel, answer) {
        const {figure, image} = panel.parts;
        const [original, target] = answer.sizes.map(([width, height]) => `${width} × ${height}`);
        const found = answer.found;
        const lines = [];
        if (found) lines.push(...judged(found));
        const size = !target ? say("pair.one_size", {size: original})
            : original === target ? say("pair.equal_size", {size: original})
                : say("pair.sizes", {original, target});
        lines.push(["note", size], ...answer.notes.map((note) => ["note", note]));
        tell(panel, lines);
        figure.hidden = !found || !found.share;
        if (found) {
            image.src = found.overlay;
            image.alt = say("pair.overlay", {share: percent(found.share)});
        }
    }

    function judged(found) {
        if (!found.share) return [["wrong", say("pair.nothing")]];
        const lines = [["title", say("pair.differs", {share: percent(found.share), mean: percent(found.mean)})]];
        const [right, down] = found.shift;
        if (right || down) {
            const ways = [
                right > 0 ? say("pair.right", {count: right}) : right < 0 ? say("pair.left", {count: -right}) : "",
                down > 0 ? say("pair.down", {count: down}) : down < 0 ? say("pair.up", {count: -down}) : "",
            ];
            const both = ways.every(Boolean) ? say("pair.both_ways", {one: ways[0], other: ways[1]}) : ways.join("");
            lines.push(["wrong", say("pair.shifted", {way: both})]);
        } else if (found.share > NEARLY_ALL) {
            lines.push(["wrong", say("pair.everything")]);
        }
        return lines;
    }

    function percent(share) {
        if (share < 0.001) return say("pair.less_than", {share: "0.1 %"});
        return `${number(100 * share, share < 0.01 ? 1 : 2)} %`;
    }

    addPanel("pair", {build, show: () => undefined});
})();
