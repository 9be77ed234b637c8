//! Writes markup, the same on both sides. Text and attribute values are escaped; tags and names come from this code.

/// Markup being written.
#[derive(Default)]
pub struct Html(String);

/// Attributes by name; one with an empty value is left out.
pub type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Html {
    /// An element with what `inside` writes into it.
    pub fn el(&mut self, tag: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.open(tag, attributes);
        inside(self);
        self.close(tag);
    }

    /// An element with text alone.
    pub fn put(&mut self, tag: &str, attributes: Attributes<'_>, text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// An element that never has content, such as `input`.
    pub fn open(&mut self, tag: &str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            if !value.is_empty() {
                self.0.push(' ');
                self.0.push_str(name);
                self.0.push_str("=\"");
                self.text(value);
                self.0.push('"');
            }
        }
        self.0.push('>');
    }

    fn close(&mut self, tag: &str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                _ => self.0.push(c),
            }
        }
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays_text() {
        let mut html = Html::default();
        html.el("a", &[("href", "/?a=1&b=\"2\""), ("class", "")], |html| html.text("<script>&"));
        assert_eq!(html.into_string(), r#"<a href="/?a=1&amp;b=&quot;2&quot;">&lt;script&gt;&amp;</a>"#);
    }
}
