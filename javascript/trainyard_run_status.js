/* The run: its phase, numbers, curve and images. */
(function () {
    "use strict";

    const {
        ROOT, ask, byId, say, refresh, make, write, renew, number, duration, imageFigure, previewFigure, accountRows,
        addPanel,
    } = window.trainyard;

    const AT_ONCE = 600; // s; a run that began so soon after another followed it

    const NUMBERS = [
        ["status.speed", (run) => number(run.steps_per_second, 3), true],
        ["status.left", (run) => duration(run.seconds_left || null), true],
        ["status.so_far", (run) => duration(run.seconds), true],
        ["status.loss", (run) => number(run.loss)],
        ["status.smoothed", (run) => number(run.smoothed)],
        ["status.memory", (run) => memoryOf(run.memory)],
        ["status.rate", (run) => ratesOf(run.rates.map(rateOf))],
    ];

    /* A small one as it is typed: 5e-4. */
    function rateOf(rate) {
        return rate && rate < 1e-3 ? rate.toExponential(2).replace(/\.?0*e/, "e") : number(rate, 3);
    }

    /* The U-Net's comes first. */
    function ratesOf(rates) {
        return rates.length === 2 ? say("status.two_rates", {rate: rates[0], text: rates[1]}) : rates.join(", ") || "–";
    }

    function buildStatus(panel) {
        const title = make("p", "title");
        title.setAttribute("role", "status");
        const before = make("p", "note");
        const account = make("details", "run-account");
        const model = make("p", "note");
        const phase = make("p", "phase");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", say("status.progress"));
        const numbers = make("dl", "numbers");
        const values = NUMBERS.map(([label]) => {
            const cell = make("div");
            const value = make("dd");
            cell.append(make("dt", "", say(label)), value);
            numbers.append(cell);
            return value;
        });
        const curve = make("div", "curve");
        const message = make("p", "wrong");
        const broken = brokenPart();
        const result = make("p", "result");
        const effect = make("div", "effect");
        const images = make("div", "images");
        const warnings = make("ul", "warnings");
        const shown = [
            before, model, account, phase, bar, numbers, curve, message, broken.whole, result, effect, images, warnings,
        ];
        for (const part of shown) part.hidden = true; // until there is a run
        panel.append(title, ...shown);
        panel.parts = {
            title, before, model, account, phase, bar, numbers, values, curve, message, broken, result, effect, images,
            warnings,
        };
    }

    let begun = null; // the run that was going on when the server was asked last

    /* What is told of a run that begins, or for another mode, stands at the top of its column, which scrolls by itself.
     * Whoever is busy further down there stays there. */
    function toTop() {
        const side = byId("side");
        const active = document.activeElement;
        if (side && (!side.contains(active) || byId("buttons").contains(active))) side.scrollTop = 0;
    }

    function showRun(panel, status) {
        const parts = panel.parts;
        const run = status.run;
        const now = status.running && run ? `${run.job.id} ${run.job.started}` : "";
        if (now && begun !== null && now !== begun) toTop();
        if (now !== begun) showBefore(parts.before, status.running ? run : null);
        begun = now;
        for (const name of ["model", "account", "phase", "bar", "numbers", "curve", "result", "effect", "images", "warnings"]) {
            parts[name].hidden = !run;
        }
        write(parts.message, (run && run.state === "failed" && run.message) || status.problem || "");
        document.getElementById(ROOT).dataset.run = run ? run.state : "";
        const broken = status.broken_off;
        showBroken(parts.broken, broken, !run || run.job.id !== broken?.id);
        if (!run) {
            write(parts.title, broken ? say(`status.${broken.status}`, broken) : say("status.idle"));
            return;
        }
        const going = run.state === "running" || run.state === "paused";
        const pausing = going && status.pausing && run.state === "running" && run.step < run.steps;
        write(parts.title, say(`status.${pausing ? "pausing" : run.state}`, {name: run.job.name, mode: run.job.mode}));
        write(parts.model, run.model ? say(going ? "status.trains_on" : "status.trained_on", run) : "");
        showAccount(parts.account, run.account, `${run.job.id} ${run.job.started}`);
        write(parts.phase, going ? phaseOf(run) : endOf(run));
        parts.bar.hidden = !going && run.state !== "stopped";
        const [done, total] = going ? [run.done, run.total] : [run.step, run.steps];
        parts.bar.max = Math.max(1, total);
        if (total || !going) parts.bar.value = done;
        else parts.bar.removeAttribute("value");
        NUMBERS.forEach(([, value, onlyGoing], index) => {
            write(parts.values[index], value(run));
            parts.values[index].parentElement.hidden = Boolean(onlyGoing) && !going;
        });
        parts.numbers.hidden = !run.step;
        const curve = run.curve.filter((point) => point[1] !== null && point[2] !== null);
        renew(parts.curve, curve.length > 1 ? curve : null, () => curveOf(curve));
        write(parts.result, run.path ? say("status.saved", {path: run.path}) : "");
        const version = `${run.job.id} ${run.job.started}`; // the next run's images have the same names
        const effect = run.effect && {...run.effect, version};
        window.trainyard.runFolder = run.folder;
        const images = run.pictures.map((each) => ({...each, version})).reverse();
        renew(parts.effect, effect, () => effectOf(effect));
        renew(parts.images, images, () => images.map((each) => previewFigure(each, "pictures", version)));
        renew(parts.warnings, run.warnings, () => run.warnings.map((text) => make("li", "", text)));
    }

    /* What became of the job before, whose place the run has taken while its user may have looked elsewhere. */
    async function showBefore(place, run) {
        place.hidden = true;
        if (!run) return;
        const found = await ask("jobs").catch(() => null); // that the server does not answer is told elsewhere
        if (!found || begun !== `${run.job.id} ${run.job.started}`) return;
        const followed = (each) => ["done", "failed", "stopped"].includes(each.status) && each.id !== run.job.id
            && run.job.started - each.ended < AT_ONCE;
        const job = found.jobs.filter(followed).sort((one, other) => one.ended - other.ended).at(-1);
        if (!job) return;
        place.replaceChildren(say(`end.is_${job.status}`, job), " ");
        if (job.status === "failed") place.append(make("br"), job.message);
        if (job.lora) {
            const button = make("button", "button", say("queue.try"));
            button.type = "button";
            button.setAttribute("aria-label", `${button.textContent}: ${job.lora}`);
            button.addEventListener("click", () => window.trainyard.tryLora(job.lora));
            place.append(button);
        }
        place.hidden = false;
    }

    /* What the run is made from: its first line, and the others below; open at first where something is odd. */
    function showAccount(place, rows, version) {
        renew(place, rows.length ? [rows, version] : null, () => {
            const [first, ...others] = accountRows(rows);
            const summary = make("summary");
            summary.append(...first.childNodes);
            place.open = rows.some((row) => row.odd);
            return [summary, ...others];
        });
    }

    /* The job that was broken off last: what is known of its end, and the button that continues it. */
    function brokenPart() {
        const whole = make("div", "broken");
        const how = make("p", "note");
        const go = make("button", "button", say("queue.continue"));
        go.type = "button";
        const answer = make("p", "wrong");
        const part = {whole, how, go, answer, job: null};
        go.addEventListener("click", async () => {
            try {
                await ask(`jobs/${part.job}/continue`, {});
                write(answer, "");
            } catch (error) {
                write(answer, `${say("queue.continue")}: ${error.message}`);
            }
            refresh();
        });
        whole.append(how, go, answer);
        whole.hidden = true;
        return part;
    }

    function showBroken(part, job, isAlone) {
        part.whole.hidden = !job || (!isAlone && !job.can_continue);
        if (!job) return;
        if (part.job !== job.id) write(part.answer, "");
        part.job = job.id;
        write(part.how, [isAlone ? job.message : "", goesOn(job)].filter(Boolean).join(" "));
        part.go.hidden = !job.can_continue;
    }

    /* Where a job can be continued; empty if it cannot. */
    function goesOn(job) {
        if (!job.can_continue) return "";
        return job.continue_at ? say("status.continue_at", {step: job.continue_at}) : say("status.can_continue");
    }

    /* Memory in use and its peak, in GiB; for a device also its total. */
    function memoryOf(memory) {
        if (!memory) return "–";
        const gib = (bytes) => (bytes / 2 ** 30).toFixed(1);
        const values = {used: gib(memory.used), most: gib(memory.most), total: gib(memory.total)};
        return say(memory.device === "cpu" ? "status.memory_process" : "status.memory_device", values);
    }

    function phaseOf(run) {
        if (run.trains) return say("status.step", {step: run.done, steps: run.total});
        const phase = run.phase || say("status.starting");
        return run.total ? say("status.step_of", {phase, done: run.done, total: run.total}) : phase;
    }

    function endOf(run) {
        const values = {steps: run.step, count: run.step - run.before, time: duration(run.seconds)};
        if (run.state === "done") return say(run.before ? "status.ended_continued" : "status.ended", values);
        return run.steps ? say("status.ended_at", run) : "";
    }

    function svg(tag, attributes) {
        const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
        for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
        return element;
    }

    function curveOf(points) {
        const width = 240, height = 80;
        const losses = points.flatMap((point) => [point[1], point[2]]);
        const [low, high] = [Math.min(...losses), Math.max(...losses)];
        const [first, last] = [points[0][0], points[points.length - 1][0]];
        const x = (step) => (width * (step - first)) / Math.max(1, last - first);
        const y = (loss) => 2 + ((height - 4) * (high - loss)) / (high - low || 1);
        const line = (column) => points.map((point) => `${x(point[0]).toFixed(1)},${y(point[column]).toFixed(1)}`).join(" ");
        const chart = svg("svg", {viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img"});
        chart.setAttribute("aria-label", say("status.curve_is"));
        chart.append(svg("polyline", {points: line(1), class: `${ROOT}-raw`}));
        chart.append(svg("polyline", {points: line(2), class: `${ROOT}-smoothed`}));
        const range = say("status.curve", {first, last, low: number(low, 3), high: number(high, 3)});
        const caption = make("small", "", range);
        return [chart, caption];
    }

    /* A block of the model in words, with what the form calls it; those of other families are words already. */
    function blockName(block) {
        const [, kind, number] = /^(BASE|IN|M|OUT)(\d*)$/.exec(block) || [];
        return kind ? say(`status.block_${kind.toLowerCase()}`, {block, number: Number(number)}) : block;
    }

    const ofRun = (name, caption, {version}) => imageFigure(name, caption, "pictures", version);

    function effectOf(effect) {
        const percent = (share) => share === null ? "–" : `${number(100 * share, 2)} %`;
        const most = effect.strongest.map((each) => `${blockName(each.block)} ${percent(each.relative)}`).join(", ");
        const said = say("status.effect", {share: percent(effect.relative), blocks: most});
        const asked = effect.asked ? effect.asked.words.map((words, at) => make("p", at ? "" : "asked", words)) : [];
        const lines = [...asked, make("p", "", said)];
        if (effect.strip) lines.push(ofRun(effect.strip, say("status.strip", effect), effect));
        if (effect.asked && effect.asked.shown) lines.push(make("p", "shown", effect.asked.shown));
        return lines;
    }

    document.addEventListener("change", (event) => event.target.closest(`#${ROOT}_mode`) && toTop());
    window.trainyard.goesOn = goesOn;
    addPanel("run_status", {build: buildStatus, show: showRun});
    document.addEventListener("trainyard-round", (event) => {
        const panel = byId("run_status");
        if (event.detail.problem && panel && panel.parts) write(panel.parts.message, event.detail.problem);
    });
})();
