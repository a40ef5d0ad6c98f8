/* The data room: sets of images with their captions. This file has what is known of the open set and how it is changed;
 * the others show it (cards), take files in (drop) and offer it beside the form (pick).
 */
(function () {
    "use strict";

    const {ROOT, byId, address, ask, say, make, button, write} = window.trainyard;

    const SMILEY = 3; // letters at most of a tag whose underscores are a face's
    const MOST_CHIPS = 60;
    const LOOK_EVERY = 400;
    const LOOK_AGAIN = 5000;
    const VIEWS = {
        all: ["room.view_all", "room.none_all"],
        uncaptioned: ["room.view_uncaptioned", "room.none_uncaptioned"],
        aside: ["room.view_aside", "room.none_aside"],
        twice: ["room.view_twice", "room.none_twice"],
    };
    const SAME = {bytes: "room.same_bytes", pixels: "room.same_pixels", alike: "room.same_alike"};

    const room = {
        set: null, // the open one: id, name, folder, own
        sets: [],
        items: [],
        version: "",
        shown: [],
        selected: new Set(),
        tags: new Set(), // those that an image must have to be shown, as they are compared
        find: "",
        view: "all",
        twice: null, // the groups of images that are there more than once
        panel: null,
    };
    window.trainyard.room = room;

    // ---- tags -------------------------------------------------------------------------------------------------------

    const tagsOf = (caption) => caption.split(/[,\n]/).map((tag) => tag.trim().replace(/\s+/g, " ")).filter(Boolean);
    const folded = (tag) => (tag.length > SMILEY ? tag.replaceAll("_", " ") : tag).toLowerCase();

    /* Tags of some images by how many of them have each, the most frequent first. */
    function counted(items) {
        const counts = new Map();
        for (const item of items) {
            for (const [key, tag] of new Map(tagsOf(item.caption).map((each) => [folded(each), each]))) {
                const known = counts.get(key);
                if (known) known.count += 1;
                else counts.set(key, {key, tag, count: 1});
            }
        }
        return [...counts.values()].sort((one, two) => two.count - one.count || one.tag.localeCompare(two.tag));
    }

    // ---- the open set -----------------------------------------------------------------------------------------------

    async function loadSets() {
        room.sets = (await ask("sets")).sets;
        document.dispatchEvent(new CustomEvent("trainyard-sets"));
    }

    /* Open a set of the list, and show it. */
    async function open(id) {
        await room.cards.flush();
        const isOther = !room.set || room.set.id !== id;
        if (isOther) {
            Object.assign(room, {items: [], version: "", tags: new Set(), selected: new Set(), find: "", view: "all", twice: null});
            room.cards.forget();
        }
        room.set = room.sets.find((each) => each.id === id) || {id, name: id, folder: ""};
        await reload(isOther);
    }

    async function openFolder(folder) {
        const opened = await ask("sets", {folder});
        await loadSets();
        await open(opened.id);
        return opened;
    }

    async function makeSet(name) {
        const made = await ask("sets", {name});
        await loadSets();
        return made;
    }

    /* Ask for the images; what is being typed stays. */
    async function reload(fromTop = false) {
        if (!room.set) return;
        const id = room.set.id;
        const found = await ask(`sets/items?set=${encodeURIComponent(id)}&known=${room.version}`);
        if (!room.set || room.set.id !== id) return;
        room.set = found.set;
        told(found);
        const isNew = Boolean(found.items);
        if (isNew) {
            room.items = found.items;
            room.version = found.version;
            const names = new Set(room.items.map((item) => item.name));
            for (const name of room.selected) if (!names.has(name)) room.selected.delete(name);
        }
        if (room.panel && (isNew || fromTop)) show(fromTop);
    }

    function told({undo, again}) {
        room.undo = undo;
        room.again = again;
        if (room.panel) showHistory();
    }

    const addressOf = (route, item, more = "") => address(`sets/${route}?set=${encodeURIComponent(room.set.id)}` +
        `&name=${encodeURIComponent(item.name)}&aside=${item.aside}&v=${item.version}${more}`);

    /* Do something to the set, and show what it has become. */
    async function act(work) {
        const {message} = room.panel.parts;
        write(message, "");
        room.panel.setAttribute("aria-busy", "true");
        try {
            await room.cards.flush();
            const done = await work();
            await reload();
            return done;
        } catch (error) {
            write(message, error.message);
            return null;
        } finally {
            room.panel.removeAttribute("aria-busy");
        }
    }

    async function change(body) {
        const names = room.selected.size ? [...room.selected] : room.shown.map((item) => item.name);
        const done = await act(() => ask("sets/change", {set: room.set.id, names, ...body}));
        if (done) sayDone("room.changed", done);
    }

    async function move(names, where) {
        const done = await act(() => ask(`sets/move/${where}`, {set: room.set.id, names}));
        if (!done) return;
        for (const name of names) room.selected.delete(name);
        sayDone(where === "aside" ? "room.set_aside" : "room.brought_back", done);
        show();
        if (room.view === "twice") lookForTwice();
    }

    async function turn(which) {
        const done = await act(() => ask(`sets/turn/${which}`, {set: room.set.id}));
        if (!done) return;
        room.cards.refill();
        const words = say(which === "undo" ? "room.undone" : "room.done_again", {what: done.what});
        write(room.panel.parts.status, done.left.length ? `${words} ${say("room.left", {names: done.left.join(", ")})}` : words);
    }

    function sayDone(key, done) {
        room.cards.refill();
        write(room.panel.parts.status, say(key, {count: done.count, what: done.what}));
    }

    // ---- what is shown ----------------------------------------------------------------------------------------------

    function filter() {
        const words = room.find.toLowerCase().split(/\s+/).filter(Boolean);
        const wanted = [...room.tags];
        const places = new Map();
        if (room.view === "twice" && room.twice) {
            room.twice.groups.forEach((group, number) => group.names.forEach((name) => places.set(name, number)));
        }
        const fits = (item) => {
            if (item.aside !== (room.view === "aside")) return false;
            if (room.view === "uncaptioned" && item.caption) return false;
            if (room.view === "twice" && !places.has(item.name)) return false;
            const text = `${item.name}\n${item.caption}`.toLowerCase();
            if (!words.every((word) => (word.length > 1 && word[0] === "-" ? !text.includes(word.slice(1)) : text.includes(word)))) {
                return false;
            }
            if (!wanted.length) return true;
            const there = new Set(tagsOf(item.caption).map(folded));
            return wanted.every((tag) => there.has(tag));
        };
        room.shown = room.items.filter(fits);
        if (room.view === "twice") {
            const within = (item) => room.twice.groups[places.get(item.name)].names.indexOf(item.name);
            room.shown.sort((one, two) => places.get(one.name) - places.get(two.name) || within(one) - within(two));
        }
    }

    function show(fromTop = false) {
        const {parts} = room.panel;
        for (const part of ["tools", "tags", "scroll"]) parts[part].hidden = !room.set;
        room.panel.classList.toggle(`${ROOT}-has-set`, Boolean(room.set));
        if (!room.set) {
            parts.empty.hidden = true;
            showSets();
            return;
        }
        filter();
        showSets();
        showHistory();
        showCounts();
        showChips();
        room.cards.show(fromTop);
        parts.tags.hidden = room.view === "aside"; // captions there are not changed
        const isSought = room.find.trim() || room.tags.size;
        const isLooking = room.view === "twice" && !room.twice;
        write(parts.empty, room.shown.length || isLooking ? "" : say(isSought ? "room.none_fits" : VIEWS[room.view][1]));
    }

    function showSets() {
        const {parts} = room.panel;
        const options = [new Option(say("room.choose"), "")];
        const group = document.createElement("optgroup");
        group.label = say("room.elsewhere");
        for (const each of room.sets) {
            const option = new Option(each.own ? each.name : each.folder, each.id);
            if (each.own) options.push(option);
            else group.append(option);
        }
        if (group.children.length) options.push(group);
        parts.choice.replaceChildren(...options);
        parts.choice.value = room.set ? room.set.id : "";
        parts.use.hidden = parts.zip.hidden = !room.set;
        if (room.set) {
            parts.zip.href = address(`sets/zip?set=${encodeURIComponent(room.set.id)}`);
            write(parts.folder, room.set.folder);
        } else write(parts.folder, "");
    }

    function showHistory() {
        const {undo, again} = room.panel.parts;
        for (const [each, what, words] of [[undo, room.undo, "room.undo_what"], [again, room.again, "room.redo_what"]]) {
            each.disabled = !what;
            each.title = what || "";
            if (what) each.setAttribute("aria-label", say(words, {what}));
            else each.removeAttribute("aria-label");
        }
    }

    function showCounts() {
        const {parts} = room.panel;
        const here = room.items.filter((item) => !item.aside);
        const counts = {
            all: here.length,
            uncaptioned: here.filter((item) => !item.caption).length,
            aside: room.items.length - here.length,
            twice: room.twice ? room.twice.groups.length : "",
        };
        for (const view of Object.keys(VIEWS)) {
            const chip = parts.views[view];
            chip.textContent = say(VIEWS[view][0], {count: counts[view]});
            chip.setAttribute("aria-pressed", String(room.view === view));
        }
        const chosen = room.selected.size;
        write(parts.count, say("room.shown", {count: room.shown.length, total: counts[room.view === "aside" ? "aside" : "all"]}));
        write(parts.scope, chosen ? say("room.for_selected", {count: chosen}) : say("room.for_shown", {count: room.shown.length}));
        parts.select.textContent = say(chosen ? "room.select_none" : "room.select_all");
        const back = room.view === "aside";
        parts.aside.hidden = !chosen || back;
        parts.back.hidden = !chosen || !back;
        parts.others.hidden = room.view !== "twice" || !room.shown.length;
    }

    function showChips() {
        const {parts} = room.panel;
        const found = counted(room.shown);
        const pressed = [...room.tags].filter((key) => !found.some((each) => each.key === key));
        const chips = [...pressed.map((key) => ({key, tag: key, count: 0})), ...found.slice(0, parts.chips.all ? undefined : MOST_CHIPS)];
        const focused = parts.chips.contains(document.activeElement) && document.activeElement.dataset.key;
        parts.chips.replaceChildren(...chips.map(({key, tag, count}) => {
            const chip = button("", () => toggle(key));
            chip.dataset.key = key;
            chip.classList.add(`${ROOT}-chip`);
            chip.append(make("span", "", tag), make("small", "", String(count)));
            chip.setAttribute("aria-pressed", String(room.tags.has(key)));
            return chip;
        }));
        if (found.length > MOST_CHIPS && !parts.chips.all) {
            parts.chips.append(button(say("room.more_tags", {count: found.length - MOST_CHIPS}), () => {
                parts.chips.all = true;
                showChips();
            }));
        }
        if (focused) {
            const again = [...parts.chips.children].find((each) => each.dataset.key === focused);
            if (again) again.focus();
        }
        parts.known.replaceChildren(...counted(room.items).slice(0, 1000).map(({tag}) => new Option(tag)));
        write(parts.title, say("room.tags", {count: found.length}));
    }

    function toggle(key) {
        if (!room.tags.delete(key)) room.tags.add(key);
        show(true);
    }

    function view(name) {
        room.view = name;
        room.selected.clear();
        if (name === "twice") lookForTwice();
        show(true);
    }

    // ---- what is there twice ----------------------------------------------------------------------------------------

    async function lookForTwice() {
        const {parts} = room.panel;
        const id = room.set.id;
        try {
            let state = await ask("sets/duplicates/start", {set: id});
            while (state.state === "working" && room.set.id === id && room.view === "twice") {
                write(parts.status, say("room.looking_twice", {done: state.done, total: state.total}));
                await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
                state = await ask(`sets/duplicates?set=${encodeURIComponent(id)}`);
            }
            if (room.set.id !== id) return;
            if (state.state !== "done") {
                write(parts.status, state.problem || "");
                return;
            }
            room.twice = state;
            const words = state.groups.length ? say("room.twice", {count: state.groups.length}) : say("room.none_twice");
            const broken = state.broken.map((each) => `${each.name}: ${each.problem}`);
            write(parts.status, broken.length ? `${words} ${say("room.broken", {names: broken.join("; ")})}` : words);
            show();
        } catch (error) {
            write(parts.message, error.message);
        }
    }

    /* What an image that is there more than once is a copy of. */
    function copyOf(item) {
        if (room.view !== "twice" || !room.twice) return "";
        const group = room.twice.groups.find((each) => each.names.includes(item.name));
        if (!group) return "";
        return group.names[0] === item.name ? say("room.best") : say(SAME[group.kind], {name: group.names[0]});
    }

    // ---- the page ---------------------------------------------------------------------------------------------------

    function build(panel) {
        room.panel = panel;
        const parts = {views: {}};
        panel.parts = parts;
        panel.append(head(parts), room.drop.place({done: open}), ...lines(parts), tools(parts), tags(parts));
        parts.scroll = room.cards.place();
        parts.empty = make("p", "room-empty");
        panel.append(parts.empty, parts.scroll);
        document.dispatchEvent(new CustomEvent("trainyard-room", {detail: {panel, room}})); // others add their own tools
        show();
        loadSets().then(showSets).catch((error) => write(parts.message, error.message));
    }

    function head(parts) {
        const bar = make("div", "room-head");
        const label = make("label", "room-choice");
        parts.choice = make("select", "input");
        parts.choice.addEventListener("change", () => parts.choice.value && attempt(() => open(parts.choice.value)));
        label.append(make("span", "", say("room.set")), parts.choice);
        parts.use = button(say("room.use"), use);
        parts.use.classList.add(`${ROOT}-main`);
        parts.zip = make("a", "button", say("room.zip"));
        parts.zip.setAttribute("download", "");
        parts.folder = make("small", "room-folder");
        parts.more = elsewhere(parts);
        bar.append(label, parts.use, parts.zip, parts.more, parts.folder);
        return bar;
    }

    /* A new set, or a folder that is there already. */
    function elsewhere(parts) {
        const fold = make("details", "room-more");
        const name = make("input", "input");
        const path = make("input", "input");
        const list = make("div", "room-folders");
        const labelled = (words, input, act, deed) => {
            const label = make("label", "room-line");
            label.append(make("span", "", words), input);
            const line = make("div", "room-line-row");
            line.append(label, button(deed, act));
            input.addEventListener("keydown", (event) => event.key === "Enter" && act());
            return line;
        };
        const create = () => attempt(async () => {
            await open((await makeSet(name.value)).id);
            name.value = "";
            fold.open = false;
        });
        const choose = (folder) => attempt(async () => {
            await openFolder(folder);
            fold.open = false;
        });
        const browse = async (folder) => {
            const found = await ask("sets/folders", {path: folder});
            const up = found.above === null && !folder ? [] : [button(say("room.up"), () => attempt(() => browse(found.above || "")))];
            list.replaceChildren(...up, ...found.folders.map((each) => {
                const row = make("span", "room-folder-row");
                row.append(button(each.name, () => attempt(() => browse(each.path))));
                if (each.images) row.append(button(say("room.open_this", {name: each.name}), () => choose(each.path)));
                return row;
            }));
            if (folder) path.value = folder; // what is typed meanwhile stays
        };
        fold.append(make("summary", "", say("room.more")), labelled(say("room.new"), name, create, say("room.make")),
            labelled(say("room.path"), path, () => choose(path.value), say("room.open")), list);
        fold.addEventListener("toggle", () => fold.open && !list.children.length && attempt(() => browse("")));
        parts.fold = fold;
        return fold;
    }

    async function attempt(work) {
        const {message} = room.panel.parts;
        write(message, "");
        try {
            await work();
        } catch (error) {
            write(message, error.message);
        }
    }

    function lines(parts) {
        parts.status = make("p", "room-status");
        parts.status.setAttribute("role", "status");
        parts.message = make("p", "wrong");
        parts.message.setAttribute("role", "alert");
        for (const part of [parts.status, parts.message]) part.hidden = true;
        return [parts.message, parts.status];
    }

    function tools(parts) {
        const bar = make("div", "room-tools");
        const find = make("input", "input");
        find.type = "search";
        find.placeholder = say("room.find");
        find.setAttribute("aria-label", say("room.find"));
        find.addEventListener("input", () => {
            room.find = find.value;
            show(true);
        });
        const views = make("div", "room-views");
        views.setAttribute("role", "group");
        views.setAttribute("aria-label", say("room.views"));
        for (const name of Object.keys(VIEWS)) {
            parts.views[name] = button("", () => view(name));
            views.append(parts.views[name]);
        }
        parts.undo = button(say("room.undo"), () => turn("undo"));
        parts.again = button(say("room.redo"), () => turn("again"));
        parts.count = make("span", "room-count");
        parts.count.setAttribute("role", "status");
        parts.select = button("", selectAll);
        parts.aside = button(say("room.aside"), () => move([...room.selected], "aside"));
        parts.back = button(say("room.back"), () => move([...room.selected], "back"));
        parts.others = button(say("room.others"), () => move(copies(), "aside"));
        const crop = make("label", "room-tick");
        const tick = document.createElement("input");
        tick.type = "checkbox";
        tick.checked = true;
        tick.addEventListener("change", () => parts.scroll.classList.toggle(`${ROOT}-no-crop`, !tick.checked));
        crop.append(tick, make("span", "", say("room.crop")));
        bar.append(views, find, parts.undo, parts.again, parts.count, parts.select, parts.aside, parts.back, parts.others, crop);
        parts.tools = bar;
        parts.find = find;
        return bar;
    }

    function selectAll() {
        if (room.selected.size) room.selected.clear();
        else room.selected = new Set(room.shown.map((item) => item.name));
        show();
        room.cards.refill();
    }

    /* Of each group of the same image all but the first. */
    const copies = () => room.twice.groups.flatMap((group) => group.names.slice(1));

    function tags(parts) {
        const fold = make("details", "room-tags");
        fold.open = window.innerWidth > 640; // on a phone the images come first
        parts.title = make("span");
        const summary = make("summary");
        summary.append(parts.title);
        const typed = make("input", "input");
        const by = make("input", "input");
        parts.known = make("datalist");
        parts.known.id = `${ROOT}_room_known`;
        typed.setAttribute("list", parts.known.id);
        for (const [input, words] of [[typed, say("room.typed")], [by, say("room.by")]]) {
            input.placeholder = words;
            input.setAttribute("aria-label", words);
        }
        const text = document.createElement("input");
        text.type = "checkbox";
        const anywhere = make("label", "room-tick");
        anywhere.append(text, make("span", "", say("room.anywhere")));
        const deed = (key, body) => button(say(key), () => change(body()));
        const given = (name, more = {}) => () => ({change: name, tags: typed.value, ...more});
        const line = make("div", "room-deeds");
        parts.scope = make("span", "room-scope");
        line.append(
            typed, deed("room.add", given("add")), deed("room.front", given("front", {adds: true})), deed("room.remove", given("remove")),
            by, deed("room.replace", () => ({change: text.checked ? "replace_text" : "replace", tags: typed.value, by: by.value})), anywhere,
            deed("room.sort", () => ({change: "sort"})), deed("room.tidy", () => ({change: "tidy"})), parts.scope,
        );
        typed.addEventListener("keydown", (event) => event.key === "Enter" && change(given("add")()));
        parts.chips = make("div", "room-chips");
        parts.chips.setAttribute("role", "group");
        parts.chips.setAttribute("aria-label", say("room.chips"));
        fold.append(summary, line, parts.chips, parts.known);
        parts.tags = fold;
        return fold;
    }

    // ---- to and from the form ---------------------------------------------------------------------------------------

    /* Write the open set's folder into the form, and show that. */
    function use() {
        const mode = document.querySelector(`#${ROOT}_mode input:checked`);
        const fitting = document.querySelector(`#${ROOT}_mode input[value="LoRA"]`);
        if (mode && !["LoRA", "Multi-ADDifT"].includes(mode.value) && fitting) fitting.click();
        fill(room.set.folder);
        tab("tab.train");
    }

    function fill(folder) {
        const box = byId("lora_data_directory").querySelector("textarea, input");
        box.value = folder;
        box.dispatchEvent(new Event("input", {bubbles: true}));
        box.dispatchEvent(new Event("change", {bubbles: true}));
    }

    function tab(key) {
        const tabs = byId("tabs").querySelectorAll("[role=tab], .tab-nav button");
        const wanted = [...tabs].find((each) => each.textContent.trim() === say(key));
        if (wanted) wanted.click();
    }

    /* While it is seen, what other windows and programs have done to the set comes in with the polling. */
    let next = 0;

    async function round(panel) {
        if (!room.set || panel.offsetParent === null || performance.now() < next || panel.hasAttribute("aria-busy")) return;
        const began = performance.now();
        try {
            await reload();
        } catch (error) {
            write(panel.parts.message, error.message);
        }
        const took = performance.now() - began;
        next = performance.now() + Math.max(LOOK_AGAIN, 20 * took); // a large set is not read all the time
    }

    Object.assign(room, {
        tagsOf, folded, counted, loadSets, open, openFolder, makeSet, reload, move, told, copyOf, fill, tab, showCounts, show, attempt,
        addressOf,
    });
    room.panels = {build, show: round};
})();
