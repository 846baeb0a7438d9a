//! Elements of HTML and SVG: attributes and text are escaped here and nowhere else.

use std::fmt;

/// An element with its attributes and what is inside.
#[derive(Debug, Clone)]
pub(super) struct Element {
    name: &'static str,
    attributes: String,
    inside: String,
}

/// An empty element.
pub(super) fn tag(name: &'static str) -> Element {
    Element { name, attributes: String::new(), inside: String::new() }
}

/// An element with a text.
pub(super) fn text(name: &'static str, text: impl fmt::Display) -> Element {
    tag(name).text(text)
}

/// Elements that HTML closes by themselves.
const VOID: [&str; 4] = ["meta", "input", "br", "link"];
/// Elements of SVG that hold nothing here.
const SHAPES: [&str; 6] = ["rect", "circle", "line", "path", "polygon", "polyline"];

impl Element {
    /// Adds an attribute.
    pub fn set(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.attributes.push_str(&format!(" {key}=\"{}\"", escape(&value.to_string())));
        self
    }

    /// Adds a class, where it is called once.
    pub fn class(self, value: impl fmt::Display) -> Self {
        self.set("class", value)
    }

    /// Puts an element inside, after all that is there.
    pub fn put(mut self, child: Element) -> Self {
        child.write(&mut self.inside);
        self
    }

    /// Puts several elements inside.
    pub fn put_all(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        children.into_iter().for_each(|child| child.write(&mut self.inside));
        self
    }

    /// Puts a text inside.
    pub fn text(mut self, text: impl fmt::Display) -> Self {
        self.inside.push_str(&escape(&text.to_string()));
        self
    }

    /// Puts what is markup already inside: a style sheet or a script of this program.
    pub fn raw(mut self, markup: &str) -> Self {
        self.inside.push_str(markup);
        self
    }

    fn write(&self, out: &mut String) {
        let Self { name, attributes, inside } = self;
        out.push_str(&format!("<{name}{attributes}"));
        if inside.is_empty() && SHAPES.contains(name) {
            out.push_str("/>");
        } else if VOID.contains(name) {
            out.push('>');
        } else {
            out.push_str(&format!(">{inside}</{name}>"));
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let element = tag("p").set("title", "\"><script>").text("<b>&").put(tag("rect").set("x", 1)).put(tag("br"));
        assert_eq!(element.to_string(), "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;b&gt;&amp;<rect x=\"1\"/><br></p>");
    }
}
