/* Beside the form: drop images, choose a set that is there, and go on to its captions. The last file of the data room. */
(function () {
    "use strict";

    const {ROOT, byId, address, ask, say, make, button, write, addPanel, room} = window.trainyard;

    const MOST_SHOWN = 8;
    const LOOK_EVERY = 800;

    const box = () => byId("lora_data_directory") && byId("lora_data_directory").querySelector("textarea, input");

    function build(panel) {
        const choice = make("select", "input");
        choice.setAttribute("aria-label", say("room.choose"));
        choice.addEventListener("change", () => {
            const set = room.sets.find((each) => each.id === choice.value);
            if (set) room.fill(set.folder);
        });
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        message.hidden = true;
        const edit = button(say("room.edit"), () => go(message));
        const strip = make("div", "room-strip");
        const zone = room.drop.place({
            into: () => (panel.found && panel.found.own ? panel.found.id : ""),
            done: async (id) => {
                const set = room.sets.find((each) => each.id === id);
                panel.shown = null;
                if (set) room.fill(set.folder);
                if (room.set && room.set.id === id) await room.reload();
            },
        });
        const row = make("div", "room-drop-row");
        row.append(choice, edit);
        panel.append(zone, row, message, strip);
        panel.parts = {choice, strip, message, edit};
        document.addEventListener("trainyard-sets", () => showSets(panel));
        room.loadSets().catch((error) => write(message, error.message));
        setInterval(() => look(panel), LOOK_EVERY);
    }

    function showSets(panel) {
        const {choice} = panel.parts;
        choice.replaceChildren(new Option(say("room.choose"), ""), ...room.sets.map((each) => new Option(each.own ? each.name : each.folder, each.id)));
        choice.hidden = !room.sets.length;
        panel.shown = null;
    }

    /* The field's folder in the data room; without one, the room as it is. */
    async function go(message) {
        write(message, "");
        const folder = box().value.trim();
        try {
            if (folder) await room.openFolder(folder);
            room.tab("tab.data");
        } catch (error) {
            write(message, error.message);
        }
    }

    /* Whatever is in the field, typed or chosen: if it is a set, its first images are shown. */
    function look(panel) {
        if (panel.offsetParent === null) panel.shown = null; // its captions may be written meanwhile
        if (panel.offsetParent === null || document.hidden || !box()) return;
        const folder = box().value.trim();
        if (folder === panel.shown) return;
        panel.shown = folder;
        panel.found = room.sets.find((each) => each.folder === folder) || null;
        panel.parts.choice.value = panel.found ? panel.found.id : "";
        panel.parts.edit.textContent = say(folder ? "room.edit" : "room.to_room");
        show(panel);
    }

    async function show(panel) {
        const {strip} = panel.parts;
        const set = panel.found;
        if (!set) {
            strip.replaceChildren();
            return;
        }
        try {
            const items = (await ask(`sets/items?set=${encodeURIComponent(set.id)}`)).items.filter((item) => !item.aside);
            if (panel.found !== set) return;
            const written = items.filter((item) => item.caption).length;
            strip.replaceChildren(...items.slice(0, MOST_SHOWN).map((item) => {
                const image = document.createElement("img");
                image.src = address(`sets/thumbnail?set=${encodeURIComponent(set.id)}&name=${encodeURIComponent(item.name)}&v=${item.version}`);
                image.alt = item.name;
                image.title = item.caption || item.name;
                image.loading = "lazy";
                image.addEventListener("error", () => {
                    const none = make("span", "room-strip-none", "?"); // as in the room, where it says what is wrong
                    none.title = item.name;
                    image.replaceWith(none);
                });
                return image;
            }), make("span", "room-strip-words", say("room.has", {images: items.length, captions: written})));
        } catch (error) {
            strip.replaceChildren(); // what is wrong with the folder is marked beside its field
        }
    }

    addPanel("room", room.panels);
    addPanel("room_pick", {build, show: () => undefined});
})();
