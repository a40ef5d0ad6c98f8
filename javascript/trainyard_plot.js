/* The plot: the list of runs, what to draw of them, and the image, which the server draws again during a run. */
(function () {
    "use strict";

    const {ROOT, address, ask, say, make, button, write, clock, addPanel} = window.trainyard;
    const CURVES = [["raw", true], ["smoothed", true], ["rate", true], ["logarithmic", false]];
    const LEAST_WAIT = 2000;

    function check(name, text, checked) {
        const label = make("label", "check");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = checked;
        box.name = name;
        label.append(box, make("span", "", text));
        return label;
    }

    function build(panel) {
        const side = make("div", "plot-side");
        const find = document.createElement("input");
        find.type = "search";
        find.id = `${ROOT}_plot_find`;
        find.className = `${ROOT}-input`;
        find.placeholder = say("plot.find");
        find.setAttribute("aria-label", say("plot.find"));
        find.addEventListener("input", () => filter(panel));
        const list = make("div", "plot-list");
        list.setAttribute("role", "group");
        list.setAttribute("aria-label", say("plot.runs"));
        list.tabIndex = -1;
        const none = button(say("plot.none"), () => {
            for (const box of chosen(panel)) box.checked = false;
            draw(panel);
        });
        const again = button(say("plot.refresh"), () => showList(panel));
        again.id = `${ROOT}_plot_refresh`;
        const bar = make("div", "plot-bar");
        bar.append(again, none);
        side.append(make("p", "plot-heading", say("plot.runs")), make("p", "note", say("plot.help")), find, list, bar);

        const main = make("div", "plot-main");
        const options = make("div", "plot-bar");
        for (const [name, on] of CURVES) options.append(check(name, say(`plot.${name}`), on));
        const save = make("a", "button", say("plot.save"));
        save.id = `${ROOT}_plot_save`;
        save.hidden = true;
        options.append(save);
        const message = make("p", "wrong");
        message.setAttribute("role", "status");
        const image = document.createElement("img");
        image.alt = say("plot.image");
        image.hidden = true;
        main.append(options, message, image);
        panel.append(side, main);
        panel.parts = {find, list, options, save, message, image};
        panel.addEventListener("change", (event) => event.target.type === "checkbox" && draw(panel));
    }

    function chosen(panel) {
        return [...panel.parts.list.querySelectorAll("input:checked")];
    }

    function filter(panel) {
        const wanted = panel.parts.find.value.toLowerCase();
        for (const row of panel.parts.list.children) {
            row.hidden = !row.textContent.toLowerCase().includes(wanted) && !row.querySelector(":checked");
        }
    }

    async function showList(panel) {
        const {runs} = await ask("runs");
        const before = new Set(chosen(panel).map((box) => box.name));
        panel.parts.list.replaceChildren(...runs.map((run) => {
            const row = check(run.id, run.name, before.has(run.id));
            row.title = run.id;
            row.append(make("small", "", clock(run.written)));
            return row;
        }));
        panel.parts.list.hidden = !runs.length;
        filter(panel);
    }

    function isDark(element) {
        const ink = getComputedStyle(element).color.match(/[\d.]+/g) || [];
        return ink.slice(0, 3).reduce((sum, part) => sum + Number(part), 0) > 384;
    }

    function query(panel) {
        const names = new URLSearchParams();
        for (const box of chosen(panel)) names.append("run", box.name);
        for (const [name] of CURVES) names.set(name, panel.parts.options.querySelector(`[name=${name}]`).checked);
        names.set("dark", isDark(panel));
        names.set("width", Math.min(2000, Math.max(240, panel.parts.options.clientWidth)));
        names.set("sharpness", Math.min(3, Math.max(1, window.devicePixelRatio || 1)));
        return names.toString();
    }

    /* One image at a time; changes meanwhile are drawn after it. */
    async function draw(panel) {
        if (panel.drawing) {
            panel.stale = true;
            return;
        }
        panel.drawing = true;
        const began = performance.now();
        panel.asked = query(panel);
        try {
            const answer = await fetch(address(`plot?${panel.asked}`));
            if (!answer.ok) throw new Error((await answer.json()).error || say("status.status", {status: answer.status}));
            put(panel, await answer.blob());
        } catch (error) {
            panel.parts.image.hidden = panel.parts.save.hidden = true;
            write(panel.parts.message, error.message);
        }
        panel.drawing = false;
        // Drawing takes time that the run needs: at most a tenth of it.
        panel.next = performance.now() + Math.max(LEAST_WAIT, 10 * (performance.now() - began));
        if (panel.stale) {
            panel.stale = false;
            await draw(panel);
        }
    }

    function put(panel, content) {
        const {image, save, message} = panel.parts;
        const before = image.src;
        image.src = save.href = URL.createObjectURL(content);
        if (before) URL.revokeObjectURL(before);
        const names = chosen(panel).map((box) => box.name);
        save.download = `${names.length === 1 ? names[0] : "loss"}.png`;
        image.hidden = save.hidden = false;
        write(message, "");
    }

    /* The list and the image do not wait for each other, and polling does not wait for the image. */
    async function show(panel, status) {
        const run = status.run;
        const step = run ? `${run.job.id} ${run.step}` : "";
        const moved = panel.step !== step && !panel.drawing && performance.now() > (panel.next || 0);
        if (moved || panel.asked !== query(panel)) {
            panel.step = step;
            draw(panel);
        }
        const version = run ? `${run.job.id} ${run.state} ${run.state === "running" && run.step ? "" : run.phase}` : "";
        if (panel.version !== version) {
            panel.version = version;
            await showList(panel);
        }
    }

    addPanel("plot", {build, show, onlySeen: true});
})();
