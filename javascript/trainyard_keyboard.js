/* What Gradio's components lack for the keyboard and for screen readers: the same under each of its versions. */
(function () {
    "use strict";

    const {ROOT, make, say} = window.trainyard;

    const LIST = "input[role=combobox], input[role=listbox], .secondary-wrap input";
    const OPTIONS = "ul.options, ul[role=listbox], ul.option-list";
    const TYPED = "textarea, input:not([type=file])";

    const root = () => document.getElementById(ROOT);
    const isSeen = (element) => element.isConnected && element.getClientRects().length > 0;

    // ---- lists ------------------------------------------------------------------------------------------------------

    /* Tab leaves a list and closes it. Gradio 6 would hear of the key after it has closed the list and open it again;
     * and a list that scrolls would be a stop of its own, which is gone as soon as it is reached. */
    window.addEventListener("keydown", (event) => {
        const target = event.target;
        if (event.key !== "Tab" || !root() || !root().contains(target) || !target.matches(LIST)) return;
        event.stopImmediatePropagation();
        for (const list of root().querySelectorAll(OPTIONS)) list.tabIndex = -1;
    }, true);

    const MOVED = 40; // px; as far as a list may be from its field
    const ARRIVING = 1000; // ms; a browser itself scrolls to a field that is entered, a phone above its keyboard
    const MODIFIERS = ["Shift", "Control", "Alt", "Meta"];
    let openedAt = 0;
    let entered = -ARRIVING;

    const ownList = (target) => root() && root().contains(target) && target.matches(LIST);
    const topOf = (element) => element.getBoundingClientRect().top;

    function hideLists(isHidden) {
        for (const list of root().querySelectorAll(OPTIONS)) {
            (list.closest(".options") || list).classList.toggle(`${ROOT}-is-closed`, isHidden);
        }
    }

    /* Escape closes a list, until the next key or click in its field. Gradio would open it for Shift alone. */
    window.addEventListener("keydown", (event) => {
        if (!ownList(event.target)) return;
        if (MODIFIERS.includes(event.key)) {
            event.stopImmediatePropagation();
            return;
        }
        [openedAt, entered] = [topOf(event.target), -ARRIVING];
        hideLists(event.key === "Escape");
    }, true);
    for (const kind of ["focusin", "pointerdown"]) {
        window.addEventListener(kind, ({target}) => {
            if (!ownList(target)) return;
            [openedAt, entered] = [topOf(target), performance.now()];
            hideLists(false);
        }, true);
    }

    /* Gradio's list stays where it was opened while its field is scrolled away: it closes, as a browser's own do. */
    window.addEventListener("scroll", () => {
        const field = document.activeElement;
        if (!field || !ownList(field)) return;
        if (performance.now() - entered < ARRIVING) openedAt = topOf(field);
        else if (Math.abs(topOf(field) - openedAt) > MOVED) hideLists(true);
    }, true);

    // ---- names and roles --------------------------------------------------------------------------------------------

    /* A fold says whether it is open, and is a heading among others. In Gradio 3 it is no button yet. */
    function dressFold(fold) {
        const isOpen = String(fold.classList.contains("open"));
        if (fold.getAttribute("aria-expanded") !== isOpen) fold.setAttribute("aria-expanded", isOpen);
        if (fold.dataset.dressed !== undefined) return;
        fold.dataset.dressed = "";
        const heading = make("h2", "unseen", fold.querySelector("span").textContent);
        fold.before(heading);
        if (fold.tagName === "BUTTON") return;
        fold.setAttribute("role", "button");
        fold.tabIndex = 0;
        fold.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            fold.click();
        });
    }

    /* Gradio 3's tabs are plain buttons. */
    function dressTab(tab) {
        tab.setAttribute("role", "tab");
        tab.parentElement.setAttribute("role", "tablist");
        tab.setAttribute("aria-selected", String(tab.classList.contains("selected")));
    }

    function helpOf(block) {
        const label = block.querySelector("[data-testid=block-info]");
        const found = block.querySelector(".info-text") || (label && label.nextElementSibling)
            || block.querySelector(":scope > div[class^=svelte]");
        return found && found.tagName === "DIV" && !found.querySelector("input, textarea") && found.textContent.trim()
            ? found : null;
    }

    /* A field is called what its label says; its help describes it, and is not a part of its name. */
    function dressField(block) {
        const label = block.querySelector("[data-testid=block-info]");
        const typed = block.tagName === "FIELDSET" ? block : block.querySelector(TYPED);
        if (!typed || typed.dataset.dressed !== undefined) return;
        typed.dataset.dressed = "";
        if (label) typed.setAttribute("aria-label", label.textContent.trim());
        const help = helpOf(block);
        if (!help) return;
        help.classList.add(`${ROOT}-help`);
        help.id = `${block.id}_help`;
        typed.setAttribute("aria-describedby", help.id);
        if (!block.querySelector(`.${ROOT}-ask`)) block.append(asking(block, help));
    }

    /* The button that shows a field's help. Who uses the keyboard switches all of them on at the top of the page. */
    function asking(block, help) {
        const made = make("button", "ask", "?");
        made.type = "button";
        made.tabIndex = -1;
        made.title = help.textContent.trim();
        made.setAttribute("aria-label", say("bar.help"));
        made.addEventListener("click", () => block.classList.toggle(`${ROOT}-is-asked`));
        return made;
    }

    function dress() {
        if (!root()) return;
        for (const fold of root().querySelectorAll(".label-wrap")) dressFold(fold);
        for (const tab of root().querySelectorAll(`#${ROOT}_tabs > .tab-nav > button`)) dressTab(tab);
        for (const block of root().querySelectorAll(`.block[id^=${ROOT}_]`)) {
            if (block.querySelector(".block, .label-wrap") === null) dressField(block);
        }
    }

    // ---- the focus --------------------------------------------------------------------------------------------------

    let path = [];

    /* Where the focus is: the element and what it is in, each with its place among its siblings. */
    function remember(event) {
        if (!root() || !root().contains(event.target)) return;
        path = [];
        for (let each = event.target; each !== root(); each = each.parentElement) {
            path.push({element: each, parent: each.parentElement, place: [...each.parentElement.children].indexOf(each)});
        }
    }

    /* An element that is hidden or removed loses the focus, which would begin at the top of the page again: it goes to
     * what is in that place now. */
    function keep() {
        const active = document.activeElement;
        if (!path.length || (active && active !== document.body) || isSeen(path[0].element)) return;
        const last = path.find(({parent}) => isSeen(parent));
        path = [];
        if (!last) return;
        const {parent, place} = last;
        const rows = parent.matches("tbody") ? [...parent.children].slice(0, place + 1).reverse() : [];
        const near = rows.find(isSeen) || parent; // never a button, which the next key would press
        near.tabIndex = -1;
        near.focus({preventScroll: true});
    }

    document.addEventListener("focusin", remember);
    document.addEventListener("trainyard-round", keep);

    let waits = false;
    const observer = new MutationObserver(() => {
        if (waits) return;
        waits = true;
        requestAnimationFrame(() => {
            waits = false;
            dress();
            keep();
        });
    });

    document.addEventListener("trainyard-round", () => {
        if (!root() || root().dataset.dressed !== undefined) return;
        root().dataset.dressed = "";
        observer.observe(root(), {childList: true, subtree: true, attributes: true, attributeFilter: ["class", "style"]});
        dress();
    });
})();
