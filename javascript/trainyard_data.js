/* What a folder would train, before the run: buckets, every image as it will be cropped, captions, problems. */
(function () {
    "use strict";

    const {ROOT, byId, address, ask, say, make, button, write, number, accountRows, fieldValue, addPanel} = window.trainyard;

    const LOOK_EVERY = 400;
    const LOOK_AFTER_CLICK = 8000;
    const IN_A_PAGE = 24;
    const ASKED = `${ROOT}-data-asked`;

    let timer = null;
    let until = 0;
    let shown = "";
    let bucket = null;
    let first = 0;

    /* What was looked at belongs to the server, and may be another window's: it is shown where this one has asked,
     * also after a reload. */
    let hasAsked = false;
    try {
        hasAsked = Boolean(window.sessionStorage.getItem(ASKED));
    } catch (error) {
        // a browser that keeps nothing
    }

    function nowAsked() {
        hasAsked = true;
        try {
            window.sessionStorage.setItem(ASKED, "yes");
        } catch (error) {
            // until a reload, then
        }
    }

    function build(panel) {
        const title = make("p", "title");
        title.setAttribute("role", "status");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", say("data.progress"));
        const stop = button(say("data.stop"), () => end("stop"));
        const close = button(say("data.close"), () => end("close"));
        const head = make("div", "data-head");
        head.append(title, stop, close);
        const outdated = make("p", "data-outdated");
        outdated.setAttribute("role", "status");
        outdated.hidden = true;
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        const summary = make("div", "data-summary");
        const problems = make("details", "data-problems");
        const buckets = make("div", "data-buckets");
        buckets.setAttribute("role", "group");
        buckets.setAttribute("aria-label", say("data.buckets"));
        const grid = make("div", "data-grid");
        const pager = make("div", "data-pager");
        panel.append(head, bar, outdated, message, summary, problems, buckets, grid, pager);
        panel.parts = {title, bar, stop, close, outdated, message, summary, problems, buckets, grid, pager};
        panel.hidden = true;
        look();
    }

    /* The form's values travel through Gradio, so the answer may come a little later. */
    function pressed(event) {
        if (!event.target.closest || !event.target.closest(`#${ROOT}_data_look`)) return;
        nowAsked();
        until = Date.now() + LOOK_AFTER_CLICK;
        clearTimeout(timer);
        timer = setTimeout(look, LOOK_EVERY);
    }

    async function end(action) {
        try {
            await ask(`preview/${action}`, {});
        } catch (error) {
            write(byId("data").parts.message, error.message);
        }
        look();
    }

    async function look() {
        const panel = byId("data");
        clearTimeout(timer);
        if (!panel || !panel.parts || !hasAsked) return; // it is built, and looks, with the next poll
        let state = null;
        try {
            state = await ask(`preview?known=${shown}`);
        } catch (error) {
            write(panel.parts.message, error.message);
        }
        if (state) show(panel, state);
        const soon = (state && state.state === "working") || Date.now() < until;
        if (soon) timer = setTimeout(look, LOOK_EVERY);
    }

    /* The server may have been slow to start a look. */
    function round() {
        const button = byId("data_look");
        if (button && button.offsetParent !== null) look();
    }

    function show(panel, state) {
        const parts = panel.parts;
        const working = state.state === "working";
        const found = state.found;
        panel.asked = state.asked;
        showAge(panel);
        if (state.state === "done" && !found) return; // shown already
        panel.hidden = state.state === "none";
        write(parts.title, titleOf(state));
        write(parts.message, state.problem || "");
        parts.bar.hidden = parts.stop.hidden = !working;
        if (state.total) {
            parts.bar.max = state.total;
            parts.bar.value = state.done;
        } else {
            parts.bar.removeAttribute("value");
        }
        for (const name of ["summary", "buckets", "grid", "pager"]) parts[name].hidden = !found;
        parts.problems.hidden = !found || !found.problems.length;
        if (!found) {
            shown = "";
            return;
        }
        shown = state.name;
        until = 0;
        parts.summary.replaceChildren(...summaryOf(found));
        showProblems(parts.problems, found);
        showBuckets(panel, found, state.name);
        turn(panel, state.name, null, 0);
    }

    // ---- whether it still holds -----------------------------------------------------------------------------------

    const plain = (value) => (value === null || value === undefined ? "" : String(value));

    /* After a change of what the data depends on, say that the preview is outdated. */
    function showAge(panel) {
        const asked = Object.entries(panel.asked || {}).filter(([name]) => byId(name));
        const isOld = asked.some(([name, value]) => plain(value) !== plain(fieldValue(name)));
        write(panel.parts.outdated, isOld ? say("data.outdated") : "");
        panel.classList.toggle(`${ROOT}-is-outdated`, isOld);
    }

    function changed() {
        const panel = byId("data");
        if (panel && panel.parts && !panel.hidden) showAge(panel);
    }

    function titleOf(state) {
        if (state.state === "working") {
            return state.total ? say("data.looking_at", {done: state.done, total: state.total}) : say("data.looking");
        }
        if (state.state === "stopped") return say("data.stopped");
        return state.found ? say("data.title", {mode: state.found.mode, folder: state.found.folder}) : say("data.failed");
    }

    function summaryOf(found) {
        const nothing = found.samples ? [] : [make("p", "wrong", say("data.nothing"))];
        return [...nothing, ...accountRows(found.account)];
    }

    function showProblems(holder, found) {
        const list = make("ul");
        for (const line of found.problem_lines) list.append(make("li", "", line));
        holder.replaceChildren(make("summary", "", say("data.problems", {count: found.problems_in_all})), list);
        holder.open = found.left_out > 0;
    }

    function showBuckets(panel, found, name) {
        const all = [[say("data.all", {count: found.samples}), null]];
        for (const each of found.buckets) {
            all.push([say("data.bucket", {size: `${each.width} × ${each.height}`, count: each.count}), each]);
        }
        panel.parts.buckets.replaceChildren(...all.map(([words, each]) => {
            const chip = button(words, () => turn(panel, name, each, 0));
            chip.bucket = each;
            return chip;
        }));
    }

    /* Another page, of one bucket or of all. */
    async function turn(panel, name, to, start) {
        bucket = to;
        first = start;
        for (const chip of panel.parts.buckets.children) {
            chip.setAttribute("aria-pressed", String(chip.bucket === to));
        }
        const size = to ? `&width=${to.width}&height=${to.height}` : "";
        let page;
        try {
            page = await ask(`preview/samples?first=${start}&count=${IN_A_PAGE}${size}`);
        } catch (error) {
            write(panel.parts.message, error.message);
            return;
        }
        if (bucket !== to || first !== start || shown !== name) return;
        panel.parts.grid.replaceChildren(...page.samples.map((sample) => figureOf(name, sample)));
        showPager(panel, name, page);
    }

    function showPager(panel, name, page) {
        const {pager} = panel.parts;
        pager.hidden = page.count <= IN_A_PAGE;
        const last = Math.min(page.first + IN_A_PAGE, page.count);
        const back = button(say("data.back"), () => turn(panel, name, bucket, Math.max(0, page.first - IN_A_PAGE)));
        const on = button(say("data.on"), () => turn(panel, name, bucket, page.first + IN_A_PAGE));
        back.disabled = page.first === 0;
        on.disabled = last === page.count;
        const focused = pager.contains(document.activeElement) && [...pager.children].indexOf(document.activeElement);
        pager.replaceChildren(back, make("span", "", say("data.page", {first: page.first + 1, last, count: page.count})), on);
        if (focused !== false) {
            const again = pager.children[focused];
            (again && !again.disabled ? again : [back, on].find((each) => !each.disabled) || pager).focus();
        }
    }

    function figureOf(name, sample) {
        const figure = make("figure");
        const sides = [sample, sample.target].filter(Boolean);
        const images = make("div", "data-images");
        sides.forEach((side, index) => images.append(imageOf(name, sample, side, index > 0)));
        const caption = make("figcaption");
        sides.forEach((side, index) => {
            if (index && side.caption === sample.caption) return;
            const words = make("p", side.caption ? "data-caption" : "data-caption trainyard-data-none",
                side.caption || say("data.no_caption"));
            words.title = side.caption;
            caption.append(words);
        });
        caption.append(make("small", "", sides.map((side) => side.name).join(" → ")));
        caption.append(make("small", "", told(sample)));
        figure.append(images, caption);
        return figure;
    }

    function imageOf(name, sample, side, isTarget) {
        const link = document.createElement("a");
        const query = isTarget ? "target=true" : "";
        link.href = address(`preview/${name}/${sample.place}?whole=true&${query}`);
        link.target = "_blank";
        const image = document.createElement("img");
        image.loading = "lazy";
        image.src = address(`preview/${name}/${sample.place}?${query}`);
        image.alt = side.name;
        image.style.aspectRatio = `${sample.frame[0]} / ${sample.frame[1]}`;
        image.addEventListener("error", () => link.replaceWith(make("p", "wrong", say("data.gone", {name: side.name}))));
        link.append(image);
        return link;
    }

    function told(sample) {
        const words = [`${sample.size[0]} × ${sample.size[1]} → ${sample.frame[0]} × ${sample.frame[1]}`];
        if (sample.kept < 0.995) words.push(say("data.kept", {share: `${number(100 * sample.kept, 2)} %`}));
        if (sample.scale > 1.005) words.push(say("data.enlarged", {factor: number(sample.scale, 2)}));
        if (sample.mirrored) words.push(say("data.mirrored"));
        if (sample.masked) words.push(say("data.masked"));
        return words.join(" · ");
    }

    document.addEventListener("click", pressed);
    for (const event of ["input", "change", "trainyard-round"]) document.addEventListener(event, changed);
    addPanel("data", {build, show: round});
})();
