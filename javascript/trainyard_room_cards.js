/* The cards of the data room: each image small, with what is cropped off, and its caption below, saved as it is typed.
 *
 * Only the cards in sight exist, so that a set of thousands scrolls; one that somebody types in stays until it is left.
 */
(function () {
    "use strict";

    const {ROOT, ask, say, make, button, fieldValue, byId, room} = window.trainyard;

    const LEAST_WIDTH = 210;
    const GAP = 12;
    const PICTURE = 190; // CSS pixels; the height of an image's place
    const ROW = 352; // of a card with its gap
    const SPARE = 2; // rows beyond what is in sight
    const PAUSE = 700; // ms after the last key until a caption is saved
    const MOST_FACTS = 60;
    const FACTS_AFTER = 120;
    const CROP_FIELDS = [
        "mode", "image_size", "image_buckets_step", "image_min_length", "image_max_ratio", "image_disable_upscale", "image_bucketing",
        "image_bucket_reso_steps", "image_min_bucket_reso", "image_max_bucket_reso",
    ];

    let scroll = null;
    let canvas = null;
    let columns = 1;
    let width = LEAST_WIDTH;
    const cards = new Map(); // name -> element
    const typing = new Map(); // set -> name -> what is typed and not saved, or is being saved
    const facts = new Map(); // name -> size and crop, for the version and the settings it was asked for
    let askedFor = "";
    let timer = null;

    function editsOf(set) {
        if (!typing.has(set)) typing.set(set, new Map());
        return typing.get(set);
    }

    const editOf = (name) => room.set && editsOf(room.set.id).get(name);
    const keyOf = (item) => `${item.aside ? "aside/" : ""}${item.name}`;

    function place() {
        scroll = make("div", "room-scroll");
        scroll.setAttribute("role", "list");
        scroll.setAttribute("aria-label", say("room.images"));
        canvas = make("div", "room-canvas");
        scroll.append(canvas);
        scroll.addEventListener("scroll", () => draw());
        new ResizeObserver(() => layOut()).observe(scroll);
        return scroll;
    }

    function forget() {
        for (const card of cards.values()) card.remove();
        cards.clear();
        facts.clear();
    }

    function show(fromTop) {
        if (fromTop) scroll.scrollTop = 0;
        layOut();
    }

    function layOut() {
        const room_for = scroll.clientWidth;
        if (!room_for) return; // it is not seen
        columns = Math.max(1, Math.floor((room_for + GAP) / (LEAST_WIDTH + GAP)));
        width = Math.floor((room_for - (columns - 1) * GAP) / columns);
        canvas.style.height = `${Math.ceil(room.shown.length / columns) * ROW}px`;
        draw();
    }

    /* Make the cards that are in sight, and take away those that are not. */
    function draw() {
        if (!scroll.clientWidth) return;
        const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - SPARE) * columns;
        const end = (Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW) + SPARE) * columns;
        const wanted = new Set();
        let before = null;
        room.shown.slice(first, end).forEach((item, number) => {
            const key = keyOf(item);
            wanted.add(key);
            let card = cards.get(key);
            if (!card) {
                card = cardOf(item);
                cards.set(key, card);
            }
            fill(card, item);
            const place = first + number;
            card.style.transform = `translate(${(place % columns) * (width + GAP)}px, ${Math.floor(place / columns) * ROW}px)`;
            card.style.width = `${width}px`;
            card.setAttribute("aria-setsize", String(room.shown.length));
            card.setAttribute("aria-posinset", String(place + 1));
            // Keys go through the cards in their order; one that is in its place is not moved, or it would lose the focus.
            if (before ? before.nextSibling !== card : canvas.firstChild !== card) {
                if (card.contains(document.activeElement)) before = null;
                else canvas.insertBefore(card, before ? before.nextSibling : canvas.firstChild);
            }
            before = card;
        });
        const shown = new Set(room.shown.map(keyOf));
        for (const [key, card] of cards) {
            const isHeld = card.contains(document.activeElement);
            if (wanted.has(key) || (isHeld && shown.has(key))) continue; // scrolled away while somebody types in it
            const place = Number(card.getAttribute("aria-posinset")) - 1;
            card.remove();
            cards.delete(key);
            if (isHeld) focusOn(place);
        }
        clearTimeout(timer);
        timer = setTimeout(askFacts, FACTS_AFTER);
    }

    /* The card that has come to the place of one that is gone. */
    function focusOn(place) {
        const item = room.shown[Math.min(place, room.shown.length - 1)];
        const card = item && cards.get(keyOf(item));
        if (card) card.parts.open.focus({preventScroll: true});
    }

    // ---- a card -----------------------------------------------------------------------------------------------------

    function cardOf(item) {
        const card = make("div", "room-card");
        card.setAttribute("role", "listitem");
        const open = make("button", "room-open");
        open.type = "button";
        open.addEventListener("click", () => enlarge(card.item));
        const frame = make("span", "room-frame");
        const image = document.createElement("img");
        image.alt = "";
        image.decoding = "async";
        const crop = make("span", "room-cut");
        crop.hidden = true;
        frame.append(image, crop);
        open.append(frame);
        image.addEventListener("error", () => open.classList.add(`${ROOT}-is-broken`));
        image.addEventListener("load", () => sizeFrame(card));
        const picked = make("label", "room-pick");
        const tick = document.createElement("input");
        tick.type = "checkbox";
        tick.setAttribute("aria-label", say("room.select_image", {name: item.name}));
        tick.addEventListener("change", (event) => select(card, event));
        tick.addEventListener("click", (event) => { card.isRange = event.shiftKey; });
        picked.append(tick);
        const aside = button("", () => room.move([card.item.name], card.item.aside ? "back" : "aside"));
        aside.classList.add(`${ROOT}-room-aside`);
        const picture = make("div", "room-picture");
        picture.append(open, picked, aside);
        const note = make("small", "room-note");
        const text = document.createElement("textarea");
        text.className = `${ROOT}-input ${ROOT}-room-caption`;
        text.spellcheck = false;
        text.addEventListener("input", () => typed(card.item, text.value));
        text.addEventListener("blur", () => save(card.item.name));
        text.addEventListener("keydown", (event) => pressed(event, card.item));
        const foot = make("div", "room-foot");
        const name = make("span", "room-name");
        const state = make("span", "room-state");
        state.setAttribute("role", "status");
        foot.append(name, state);
        card.append(picture, text, foot, note);
        card.parts = {open, frame, image, crop, tick, aside, text, name, state, note};
        return card;
    }

    function fill(card, item) {
        const {parts} = card;
        const source = room.addressOf("thumbnail", item);
        card.item = item;
        if (parts.image.dataset.source !== source) {
            parts.image.dataset.source = source;
            parts.open.classList.remove(`${ROOT}-is-broken`);
            parts.image.src = source;
            parts.open.setAttribute("aria-label", say("room.enlarge", {name: item.name}));
            parts.name.textContent = parts.name.title = item.name;
            parts.text.setAttribute("aria-label", say("room.caption_of", {name: item.name}));
            parts.aside.textContent = say(item.aside ? "room.back" : "room.aside");
            parts.aside.setAttribute("aria-label", say(item.aside ? "room.back_image" : "room.aside_image", {name: item.name}));
        }
        parts.tick.checked = room.selected.has(item.name);
        card.classList.toggle(`${ROOT}-is-selected`, parts.tick.checked);
        parts.text.readOnly = item.aside || Boolean(item.problem);
        parts.text.placeholder = item.aside ? "" : say("room.no_caption");
        const edit = editOf(item.name);
        const caption = edit && !item.aside ? edit.text : item.caption;
        if (parts.text.value !== caption && document.activeElement !== parts.text) parts.text.value = caption;
        showState(card);
        sizeFrame(card);
    }

    function showState(card) {
        const {parts, item} = card;
        const edit = editOf(item.name);
        const words = !edit ? (card.saved ? say("room.saved") : "") : edit.problem ? "" : say("room.saving");
        if (parts.state.textContent !== words) parts.state.textContent = words;
        const fact = facts.get(item.name) || {};
        const problem = (edit && edit.problem) || item.problem || fact.problem || "";
        const size = fact.size ? `${fact.size[0]} × ${fact.size[1]}${fact.frame ? ` → ${fact.frame[0]} × ${fact.frame[1]}` : ""}` : "";
        const told = [room.copyOf(item), size, fact.crop === null ? say("room.too_small") : "", item.mask ? say("room.has_mask") : ""];
        const note = problem || told.filter(Boolean).join(" · ");
        if (parts.note.textContent !== note) parts.note.textContent = parts.note.title = note;
        parts.note.classList.toggle(`${ROOT}-wrong`, Boolean(problem));
    }

    /* The frame around the image is as large as the image, so that what is cropped off can be drawn over it. */
    function sizeFrame(card) {
        const {frame, image, crop} = card.parts;
        const fact = facts.get(card.item.name) || {};
        const [across, down] = fact.size || [image.naturalWidth, image.naturalHeight];
        if (!across || !down) return;
        const scale = Math.min(width / across, PICTURE / down);
        frame.style.width = `${Math.round(across * scale)}px`;
        frame.style.height = `${Math.round(down * scale)}px`;
        const cut = fact.crop && !card.item.aside && (fact.crop[2] < 0.998 || fact.crop[3] < 0.998);
        crop.hidden = !cut;
        if (!cut) return;
        const [left, top, wide, high] = fact.crop.map((share) => `${100 * share}%`);
        Object.assign(crop.style, {left, top, width: wide, height: high});
    }

    let lastPicked = "";

    /* With Shift, everything from the last one that was selected. */
    function select(card, event) {
        const on = event.target.checked;
        const names = room.shown.map((item) => item.name);
        const [from, to] = [names.indexOf(lastPicked), names.indexOf(card.item.name)];
        const range = card.isRange && from >= 0 ? names.slice(Math.min(from, to), Math.max(from, to) + 1) : [card.item.name];
        for (const name of range) {
            if (on) room.selected.add(name);
            else room.selected.delete(name);
        }
        lastPicked = card.item.name;
        refill();
        room.showCounts();
    }

    function refill() {
        for (const card of cards.values()) {
            if (document.activeElement === card.parts.text && !editOf(card.item.name)) card.parts.text.value = card.item.caption;
            fill(card, card.item);
        }
    }

    // ---- what would be cropped --------------------------------------------------------------------------------------

    function settings() {
        const found = {};
        for (const name of CROP_FIELDS) if (byId(name)) found[name] = fieldValue(name);
        return found;
    }

    async function askFacts() {
        if (!room.set || scroll.offsetParent === null) return;
        const [id, asked] = [room.set.id, settings()];
        const key = JSON.stringify(asked);
        if (key !== askedFor) {
            facts.clear();
            askedFor = key;
        }
        const names = [...cards.values()].map((card) => card.item).filter((item) => !item.aside && !isKnown(item)).map((item) => item.name);
        if (!names.length) return;
        try {
            const found = (await ask("sets/facts", {set: id, names: names.slice(0, MOST_FACTS), settings: asked})).facts;
            if (!room.set || room.set.id !== id || key !== askedFor) return;
            const versions = new Map(room.items.filter((item) => !item.aside).map((item) => [item.name, item.version]));
            for (const name of names.slice(0, MOST_FACTS)) facts.set(name, {...found[name], version: versions.get(name)});
        } catch (error) {
            return; // the run's panel says that the server does not answer
        }
        for (const card of cards.values()) fill(card, card.item);
        if (names.length > MOST_FACTS) timer = setTimeout(askFacts, FACTS_AFTER);
    }

    const isKnown = (item) => facts.has(item.name) && facts.get(item.name).version === item.version;

    // ---- captions ---------------------------------------------------------------------------------------------------

    function typed(item, text) {
        const edit = editOf(item.name) || {known: item.caption, set: room.set.id};
        Object.assign(edit, {text, problem: ""});
        editsOf(edit.set).set(item.name, edit);
        clearTimeout(edit.timer);
        edit.timer = setTimeout(() => save(item.name, edit), PAUSE);
        told(item.name);
    }

    /* Save what was typed; if more is typed meanwhile, that as well. */
    async function save(name, edit = editOf(name)) {
        if (!edit) return;
        clearTimeout(edit.timer);
        if (!edit.saving) edit.saving = send(name, edit);
        await edit.saving;
    }

    async function send(name, edit) {
        const text = edit.text;
        let found = null;
        try {
            found = await ask("sets/caption", {set: edit.set, name, caption: text, known: edit.known});
        } catch (error) {
            edit.problem = error.message;
        }
        edit.saving = null;
        const item = room.set && room.set.id === edit.set && room.items.find((each) => each.name === name && !each.aside);
        if (found && item) {
            item.caption = edit.known = found.caption;
            room.version = "";
            room.told(found);
        }
        if (found && edit.text === text) editsOf(edit.set).delete(name);
        else if (found) await save(name, edit);
        else if (item) await afresh(name, edit);
        const card = cards.get(name);
        if (card) {
            card.saved = Boolean(found);
            showState(card);
        }
        room.showCounts();
    }

    /* A caption that somebody else has changed is shown as it is now; what was typed stays in sight below it. */
    async function afresh(name, edit) {
        const before = edit.known;
        await room.reload().catch(() => undefined);
        const item = room.items.find((each) => each.name === name && !each.aside);
        if (item && item.caption !== before) edit.known = item.caption; // the next save is meant
    }

    function told(name) {
        const card = cards.get(name);
        if (card) showState(card);
    }

    /* Everything that is typed is saved when this is done. */
    async function flush() {
        for (const edits of typing.values()) {
            for (const [name, edit] of [...edits]) if (!edit.problem) await save(name, edit);
        }
    }

    // Ctrl and Enter: the next image; with Shift the one before.
    function pressed(event, item) {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            go(item, event.shiftKey ? -1 : 1);
        }
    }

    function go(item, step) {
        const place = room.shown.findIndex((each) => keyOf(each) === keyOf(item)) + step;
        const next = room.shown[place];
        if (!next) return;
        const top = Math.floor(place / columns) * ROW;
        if (top < scroll.scrollTop || top + ROW > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top;
        draw();
        const card = cards.get(keyOf(next));
        if (card) card.parts.text.focus();
    }

    // ---- large ------------------------------------------------------------------------------------------------------

    function enlarge(start) {
        const dialog = make("dialog", "room-large");
        dialog.setAttribute("aria-label", say("room.large"));
        const image = document.createElement("img");
        const stage = make("div", "room-stage");
        stage.append(image);
        const name = make("p", "room-large-name");
        const text = document.createElement("textarea");
        text.className = `${ROOT}-input`;
        text.rows = 4;
        const bar = make("div", "room-large-bar");
        const back = button(say("room.previous"), () => turn(-1));
        const on = button(say("room.next"), () => turn(1));
        const aside = button("", () => {
            const next = room.shown[placeOf() + 1] || room.shown[placeOf() - 1];
            room.move([item.name], item.aside ? "back" : "aside");
            if (next) show(next);
            else dialog.close();
        });
        const close = button(say("room.close"), () => dialog.close());
        let item = start;
        const placeOf = () => room.shown.findIndex((each) => keyOf(each) === keyOf(item));

        function turn(step) {
            const next = room.shown[placeOf() + step];
            if (next) show(next);
        }

        function show(next) {
            save(item.name);
            item = next;
            image.src = room.addressOf("image", item);
            image.alt = item.name;
            name.textContent = item.name;
            const edit = editOf(item.name);
            text.value = edit ? edit.text : item.caption;
            text.readOnly = item.aside || Boolean(item.problem);
            text.setAttribute("aria-label", say("room.caption_of", {name: item.name}));
            aside.textContent = say(item.aside ? "room.back" : "room.aside");
            back.disabled = placeOf() <= 0;
            on.disabled = placeOf() >= room.shown.length - 1;
            document.dispatchEvent(new CustomEvent("trainyard-room-large", {detail: {dialog, bar, item, image}}));
        }

        text.addEventListener("input", () => {
            typed(item, text.value);
            const card = cards.get(keyOf(item));
            if (card) card.parts.text.value = text.value;
        });
        dialog.addEventListener("keydown", (event) => {
            const isTyping = event.target === text;
            if (event.key === "ArrowRight" && !isTyping) turn(1);
            if (event.key === "ArrowLeft" && !isTyping) turn(-1);
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) turn(event.shiftKey ? -1 : 1);
        });
        dialog.addEventListener("close", () => {
            save(item.name);
            dialog.remove();
            const card = cards.get(keyOf(item));
            if (card) card.parts.open.focus();
        });
        bar.append(back, on, aside, close);
        dialog.append(stage, name, text, bar);
        document.getElementById(ROOT).append(dialog);
        show(start);
        dialog.showModal();
    }

    // Nothing that was typed is lost with the window.
    document.addEventListener("visibilitychange", () => document.hidden && flush());
    window.addEventListener("beforeunload", (event) => {
        if (![...typing.values()].some((edits) => edits.size)) return;
        flush();
        event.preventDefault();
    });

    room.cards = {place, show, forget, flush, refill, enlarge};
})();
