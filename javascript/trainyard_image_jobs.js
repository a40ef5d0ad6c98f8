/* Images made for the page: iLECO's prompts, and a LoRA at several strengths. Asked for only while some are made. */
(function () {
    "use strict";

    const page = window.trainyard;
    const {ROOT, byId, address, ask, say, make, button, write, renew, imageFigure, addPanel} = page;
    const EVERY = 700;
    const PATIENCE = 6000;
    const MESSAGE_FOR = 30000; // ms; by then it has been read, and may no longer be true

    const OF_STRENGTHS = ["strip", "film"]; // whose images are one LoRA at several strengths

    const places = new Map();
    let until = 0;
    let timer = null;
    let asking = false;
    let hasAsked = false;

    /* Add a place for the sheet of that name to the end of an element. */
    function place(name, holder) {
        const panel = make("div", "sheet");
        const title = make("p", "note");
        title.setAttribute("role", "status");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", say("status.progress"));
        const stopped = () => ask("drawings/stop", {}).catch((error) => write(message, error.message));
        const stop = button(say("draw.stop"), stopped);
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        const notes = make("p", "note");
        const images = make("div", "drawn");
        images.addEventListener("click", (event) => {
            if (!event.target.closest("a") || event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            enlarge(images);
        });
        const strengths = make("div");
        panel.append(title, bar, stop, message, strengths, images, notes);
        panel.parts = {title, bar, stop, message, strengths, images, notes};
        panel.hidden = true;
        holder.append(panel);
        places.set(name, panel);
        until = Date.now() + PATIENCE;
        look();
    }

    function show(name, panel, sheet) {
        const parts = panel.parts;
        const going = sheet.state === "drawing";
        panel.hidden = false;
        const steps = sheet.total ? say("draw.going", {done: sheet.done, total: sheet.total}) : say("draw.loading");
        const state = going ? steps : sheet.state === "stopped" ? say("draw.stopped") : "";
        // Each prompt stands below its image.
        const title = going || name !== "prompts" ? sheet.title : "";
        write(parts.title, [title, state].filter(Boolean).join(" · "));
        parts.bar.hidden = parts.stop.hidden = !going;
        parts.bar.max = Math.max(1, sheet.total);
        if (sheet.total) parts.bar.value = sheet.done;
        else parts.bar.removeAttribute("value");
        const left = MESSAGE_FOR - 1000 * sheet.age;
        write(parts.message, hasAsked && left > 0 ? sheet.message : ""); // what went wrong for another page is not for this
        clearTimeout(panel.forgets);
        panel.forgets = setTimeout(() => write(parts.message, ""), Math.max(0, left));
        write(parts.notes, (sheet.notes || []).join(" "));
        const prompted = name === "prompts";
        renew(parts.images, sheet.pictures, () => sheet.pictures.map((each) => {
            const prompt = each.prompt ? say("draw.quoted", {prompt: each.prompt}) : say("draw.nothing");
            return imageFigure(each.name, prompted ? `${each.label}: ${prompt}` : each.label, "drawings");
        }));
        const slides = OF_STRENGTHS.includes(name) && !going && sheet.pictures.length > 1 ? sheet.pictures : [];
        renew(parts.strengths, slides, () => [page.strengthSlider(slides.map(
            (each) => ({address: address(`drawings/${encodeURIComponent(each.name)}`), label: each.label})))]);
    }

    /* The place is gone; what is being made in it goes on. */
    function leave(name) {
        places.delete(name);
    }

    /* Show all images of a sheet as large as the window allows. A click on one opens it, a click beside them closes. */
    function enlarge(images) {
        const dialog = make("dialog", "enlarged");
        dialog.append(...[...images.children].map((figure) => figure.cloneNode(true)));
        dialog.addEventListener("click", (event) => event.target.closest("a") || dialog.close());
        dialog.addEventListener("close", () => dialog.remove());
        document.getElementById(ROOT).append(dialog);
        dialog.showModal();
    }

    // ---- while a run has the device ---------------------------------------------------------------------------------

    const gates = new Set();
    let made = 0;
    let isWaiting = false;

    /* Offer buttons that draw only while images can be drawn; otherwise a note beside them says when, and describes
     * them.
     *
     * buttons: a function, since Gradio may make its buttons anew.
     * home: a function for where the note stands, if that is Gradio's, too. */
    function gate(buttons, note, home) {
        made += 1;
        note.id = `${ROOT}_waits_${made}`;
        note.hidden = true;
        gates.add({buttons, note, home});
        turn();
    }

    function turn() {
        for (const each of gates) {
            const home = each.home && each.home();
            if (home && !home.contains(each.note)) home.append(each.note);
            if (each.wasThere && !each.note.isConnected && !each.home) gates.delete(each); // its dialog was closed
            each.wasThere = each.note.isConnected;
            for (const button of each.buttons()) {
                if (!button.dataset.asks) button.disabled = isWaiting;
                if (isWaiting) button.setAttribute("aria-describedby", each.note.id);
                else button.removeAttribute("aria-describedby");
            }
            write(each.note, isWaiting ? say("try.waits") : "");
        }
    }

    /* What a button asks for, during which it cannot be pressed again. */
    async function once(button, act) {
        button.dataset.asks = "";
        button.disabled = true;
        try {
            await act();
        } finally {
            delete button.dataset.asks;
            button.disabled = false;
            turn();
        }
    }

    document.addEventListener("trainyard-round", ({detail: {status}}) => {
        if (!status) return;
        isWaiting = status.images_wait;
        turn();
    });

    /* Look now, and again until what was just asked for is done. */
    function watch() {
        hasAsked = true;
        until = Date.now() + PATIENCE;
        look();
    }

    async function look() {
        if (asking) return;
        asking = true;
        clearTimeout(timer);
        let going = false;
        try {
            const sheets = await ask("drawings");
            going = Object.values(sheets).some((sheet) => sheet.state === "drawing");
            for (const [name, panel] of places) if (sheets[name]) show(name, panel, sheets[name]);
        } catch (error) {
            going = true; // the run's panel says that the server does not answer
        }
        asking = false;
        if (going || Date.now() < until) timer = setTimeout(look, EVERY);
    }

    const waits = make("p", "note");
    gate(() => document.querySelectorAll(`#${ROOT}_generate_buttons button`), waits, () => byId("generate_buttons"));

    function build(panel) {
        place("prompts", panel);
        turn();
    }

    addPanel("prompts", {build, show: () => {}});
    document.addEventListener("click", (event) => {
        if (event.target.closest && event.target.closest(`#${ROOT}_generate_buttons button`)) watch();
    });
    page.imageJobs = {place, leave, watch, gate, once};
})();
