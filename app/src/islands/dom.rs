//! Parts in a real page: brought to life, told the news, drawn again where something differs.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use leptos::{
    prelude::{document, set_interval, set_timeout},
    wasm_bindgen::{JsCast, closure::Closure},
};
use web_sys::{Element, Event, FocusOptions, HtmlElement, HtmlInputElement, HtmlTemplateElement, Node};

use super::{Part, document_title, html::Html};
use crate::{
    live::tab::{self, News},
    wire::Position,
};

/// Several pieces of news within this time are drawn at once.
const FRAME: Duration = Duration::from_millis(16);
/// How often parts are told the time.
const CLOCK: Duration = Duration::from_secs(20);
/// A value that changed is lit for this long.
const LIT: Duration = Duration::from_millis(700);

/// A part and the element that it is drawn into.
pub struct Stage {
    root: Element,
    part: RefCell<Box<dyn Part>>,
    /// The tab has this part's title.
    titled: bool,
    /// Will be drawn within a frame.
    waiting: Cell<bool>,
}

impl Stage {
    /// Brings the first part of the page to life that is not alive yet.
    pub(super) fn mount_next() {
        if let Ok(Some(root)) = document().query_selector("[data-model]") {
            let model = root.get_attribute("data-model").unwrap_or_default();
            root.remove_attribute("data-model").ok();
            let kind = root.get_attribute("data-part").unwrap_or_default();
            let position = root.get_attribute("data-position").and_then(|position| position.parse().ok());
            if let (Some(part), Some(position)) = (super::read(&kind, &model), position) {
                Self::mount(root, part, position);
            }
        }
    }

    fn mount(root: Element, part: Box<dyn Part>, position: Position) {
        let follows = part.follows().iter().map(ToString::to_string).collect();
        let titled = title_of(part.as_ref()).is_some_and(|title| title == document().title());
        let stage = Rc::new(Self { root, part: RefCell::new(part), titled, waiting: Cell::new(false) });
        stage.part.borrow().begin(&stage);
        let told = stage.clone();
        tab::follow(
            follows,
            position,
            Rc::new(move |news| {
                told.change(|part| match news {
                    News::Rows(rows) => part.on_rows(&rows.query, rows.rows, rows.reset),
                    News::State(state) => part.on_state(state),
                    News::Seen => part.on_seen(tab::position()),
                    News::Expired => false,
                });
            }),
        );
        stage.use_controls("click");
        stage.use_controls("input");
        #[allow(clippy::cast_possible_truncation)]
        set_interval(move || stage.change(|part| part.on_clock((js_sys::Date::now() * 1000.0) as i64)), CLOCK);
    }

    /// A control of this part was used.
    pub(super) fn used(self: &Rc<Self>, what: &str, value: &str) {
        self.change(|part| part.on_use(what, value));
    }

    /// How far what the part keeps for itself reaches.
    pub(super) fn reach(&self) -> u64 {
        self.part.borrow().reach()
    }

    fn change(self: &Rc<Self>, change: impl FnOnce(&mut dyn Part) -> bool) {
        if change(self.part.borrow_mut().as_mut()) && !self.waiting.replace(true) {
            let stage = self.clone();
            set_timeout(move || stage.redraw(), FRAME);
        }
    }

    fn redraw(&self) {
        self.waiting.set(false);
        draw_into(&self.root, &|html| self.part.borrow().draw(html));
        if let (true, Some(title)) = (self.titled, title_of(self.part.borrow().as_ref())) {
            document().set_title(&title);
        }
    }

    fn use_controls(self: &Rc<Self>, kind: &'static str) {
        let stage = self.clone();
        let heard = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
            let Ok(Some(control)) = target.closest("[data-do]") else { return };
            let input = control.dyn_ref::<HtmlInputElement>();
            // An input is used by its input, anything else by a click.
            if input.is_some() == (kind == "input") {
                event.prevent_default();
                let what = control.get_attribute("data-do").unwrap_or_default();
                stage.used(
                    &what,
                    &input.map_or_else(|| control.get_attribute("value").unwrap_or_default(), HtmlInputElement::value),
                );
            }
        });
        self.root.add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref()).ok();
        heard.forget();
    }
}

fn title_of(part: &dyn Part) -> Option<String> {
    part.title().map(|title| document_title(&title))
}

/// Draws into an element, changing only what differs. What has the focus keeps it.
pub(super) fn draw_into(root: &Element, draw: &dyn Fn(&mut Html)) {
    let mut html = Html::default();
    draw(&mut html);
    let focused = document().active_element();
    if let Ok(template) = document().create_element("template") {
        template.set_inner_html(&html.into_string());
        become_like(root, &template.unchecked_into::<HtmlTemplateElement>().content());
    }
    // Whatever is moved in a document loses it.
    if let Some(focused) =
        focused.filter(|focused| focused.is_connected() && document().active_element().as_ref() != Some(focused))
    {
        let stay = FocusOptions::new();
        stay.set_prevent_scroll(true);
        focused.unchecked_into::<HtmlElement>().focus_with_options(&stay).ok();
    }
}

/// Makes the children of `old` like those of `new`, which loses what is taken over as it is.
///
/// Children with the same `data-key` are the same; others are by their place and tag. What is wanted no more is taken
/// out before anything is moved: a row that stays where it is keeps focus and scroll position.
fn become_like(old: &Node, new: &Node) {
    let mut place = old.first_child();
    let mut next = new.first_child();
    while let Some(wanted) = next {
        let unwanted = |at: &Node| key(at).is_some_and(|key| find_keyed(Some(wanted.clone()), &key).is_none());
        while let Some(gone) = place.clone().filter(unwanted) {
            place = gone.next_sibling();
            old.remove_child(&gone).ok();
        }
        next = wanted.next_sibling();
        let key = key(&wanted);
        let same = match &key {
            Some(key) => find_keyed(place.clone(), key),
            None => place.clone().filter(|at| at.node_name() == wanted.node_name() && self::key(at).is_none()),
        };
        if let Some(same) = same {
            if place.as_ref() == Some(&same) {
                place = same.next_sibling();
            } else {
                old.insert_before(&same, place.as_ref()).ok();
            }
            become_one(&same, &wanted);
        } else {
            if let (Some(_), Some(row)) = (key, wanted.dyn_ref::<Element>()) {
                row.class_list().add_1("fresh").ok();
            }
            old.insert_before(&wanted, place.as_ref()).ok();
        }
    }
    while let Some(gone) = place {
        place = gone.next_sibling();
        old.remove_child(&gone).ok();
    }
}

fn become_one(old: &Node, new: &Node) {
    let (Some(element), Some(wanted)) = (old.dyn_ref::<Element>(), new.dyn_ref::<Element>()) else {
        if old.node_value() != new.node_value() {
            old.set_node_value(new.node_value().as_deref());
            light(old);
        }
        return;
    };
    for name in element.get_attribute_names() {
        let name = name.as_string().unwrap_or_default();
        // What the reader did (opened) and what is only passing (a highlight) stay.
        if !wanted.has_attribute(&name) && name != "open" && name != "class" {
            element.remove_attribute(&name).ok();
        }
    }
    for name in wanted.get_attribute_names() {
        let name = name.as_string().unwrap_or_default();
        let value = wanted.get_attribute(&name).unwrap_or_default();
        if element.get_attribute(&name).as_deref() != Some(&value) {
            element.set_attribute(&name, &value).ok();
            if let (Some(input), "value") = (element.dyn_ref::<HtmlInputElement>(), name.as_str()) {
                input.set_value(&value);
            }
        }
    }
    become_like(old, new);
}

fn key(node: &Node) -> Option<String> {
    node.dyn_ref::<Element>()?.get_attribute("data-key")
}

fn find_keyed(from: Option<Node>, key: &str) -> Option<Node> {
    let mut at = from;
    while let Some(node) = at {
        if self::key(&node).as_deref() == Some(key) {
            return Some(node);
        }
        at = node.next_sibling();
    }
    None
}

/// A figure that changed is lit, once.
fn light(text: &Node) {
    if let Some(figure) = text.parent_element().and_then(|parent| parent.closest("[data-lit]").ok()?) {
        figure.class_list().add_1("changed").ok();
        set_timeout(move || drop(figure.class_list().remove_1("changed")), LIT);
    }
}
