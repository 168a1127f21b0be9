//! `man/`: a page for `cb`, one for each subcommand, the contract and the recipes. Names, synopsis, arguments and options
//! come from the definition, the rest from `man/prose/`, in the part of Markdown that [`body`] reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::model::{Command, Kind, Operand, Opt, Takes, Value};
use super::{BLESS, release};

/// The pages of prose alone, `cb-NAME.7`.
const PROSE: [&str; 2] = ["contract", "recipes"];

/// The last sections of every page of a command, in this order.
const LAST: [&str; 4] = ["EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"];

/// Makes the pages, by file name.
pub fn pages(cb: &Command) -> BTreeMap<String, String> {
    let own = (format!("{}.1", cb.name), page(cb, None));
    let subcommands =
        cb.with_options().map(|subcommand| (format!("{}-{}.1", cb.name, subcommand.name), page(cb, Some(subcommand))));
    let prose = PROSE.map(|name| (format!("cb-{name}.7"), prose_page(cb, name)));
    subcommands.chain([own]).chain(prose).collect()
}

/// The prose of a subcommand's page, if there is any.
pub fn prose(subcommand: &str) -> Option<String> {
    read(&format!("cb-{subcommand}"))
}

fn read(name: &str) -> Option<String> {
    let file = format!("man/prose/{name}.md");
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).ok()
}

fn page(cb: &Command, subcommand: Option<&Command>) -> String {
    let command = subcommand.unwrap_or(cb);
    let (words, name) = match subcommand {
        Some(subcommand) => (format!("cb {}", subcommand.name), format!("cb-{}", subcommand.name)),
        None => ("cb".to_owned(), "cb".to_owned()),
    };
    let prose = sections(&read(&name).unwrap_or_default());
    // A section that a page lacks comes from the prose that is common to all.
    let common = sections(&read("common").expect("man/prose/common.md"));
    let said = |heading: &str| {
        let find = |sections: &[(String, String)]| {
            sections.iter().find(|section| section.0 == heading).map(|section| body(&section.1))
        };
        find(&prose).or_else(|| find(&common)).unwrap_or_default()
    };

    let mut text = title(&name, "1", "User Commands");
    let mut section = |heading: &str, body: &str| {
        if !body.is_empty() {
            write!(text, ".SH {heading}\n{}", first(body)).expect("a string");
        }
    };
    let about = lines(&format!("{name} - {}", lower_case(&command.about)));
    section("NAME", &about.replacen(&name, &literal(&name), 1));
    section("SYNOPSIS", &synopsis(&words, command));
    let description = command.description.iter().map(|paragraph| format!(".PP\n{}", lines(paragraph)));
    section("DESCRIPTION", &(description.collect::<String>() + &said("DESCRIPTION")));
    section("COMMANDS", &subcommands(command));
    section("ARGUMENTS", &arguments(command));
    section("OPTIONS", &options(command));
    for (heading, text) in prose
        .iter()
        .filter(|section| section.0 != "DESCRIPTION" && section.0 != "SEE ALSO" && !LAST.contains(&section.0.as_str()))
    {
        section(heading, &body(text));
    }
    for heading in LAST {
        section(heading, &said(heading));
    }
    section("SEE ALSO", &see_also(cb, &name, &prose));
    text
}

/// A page of prose alone.
fn prose_page(cb: &Command, name: &str) -> String {
    let prose = read(name).unwrap_or_else(|| panic!("man/prose/{name}.md cannot be read"));
    let prose = sections(&prose);
    let name = format!("cb-{name}");
    let mut text = title(&name, "7", "Miscellaneous");
    for (heading, of) in &prose {
        let body = match heading.as_str() {
            "NAME" => lines(of).replacen(&name, &literal(&name), 1),
            "SEE ALSO" => see_also(cb, &name, &prose),
            _ => body(of),
        };
        write!(text, ".SH {heading}\n{}", first(&body)).expect("a string");
    }
    text
}

/// The beginning of a page.
fn title(name: &str, section: &str, volume: &str) -> String {
    let title = name.to_uppercase().replace('-', "\\-");
    format!(
        ".\\\" Made from src/cli.rs and man/prose/ by '{BLESS}'.\n\
         .TH {title} {section} {} \"cb {}\" \"{volume}\"\n",
        release::date(),
        env!("CARGO_PKG_VERSION")
    )
}

/// The text below a heading, whose first paragraph needs no macro.
fn first(body: &str) -> &str {
    body.strip_prefix(".PP\n").unwrap_or(body)
}

/// All other pages, and those that the prose adds.
fn see_also(cb: &Command, name: &str, prose: &[(String, String)]) -> String {
    let subcommands = cb.with_options().map(|other| (format!("cb-{}", other.name), 1));
    let prose_pages = PROSE.map(|name| (format!("cb-{name}"), 7));
    let others = subcommands.chain([("cb".to_owned(), 1)]).chain(prose_pages);
    let others = others.filter(|page| page.0 != name);
    let mut pages: Vec<String> = others.map(|(page, section)| format!("`{page}`({section})")).collect();
    pages.sort();
    let further = prose.iter().find(|section| section.0 == "SEE ALSO").map(|section| section.1.trim().to_owned());
    pages.extend(further);
    lines(&pages.join(", "))
}

/// A sentence that begins with a small letter, for the middle of another.
fn lower_case(sentence: &str) -> String {
    let (first, rest) = sentence.split_at(1);
    first.to_lowercase() + rest
}

/// How the command is called. An operand that an option can replace makes two lines.
fn synopsis(words: &str, command: &Command) -> String {
    let mut start = format!("{} [\\fIOPTION\\fR]...", bold(words));
    for option in command.options.iter().filter(|option| option.required) {
        let name = option.names.last().expect("a name");
        write!(start, " {} {}", bold(name), placeholder(option.value().expect("a value"))).expect("a string");
    }
    if !command.subcommands.is_empty() {
        return format!("{start} \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n");
    }
    let mut ways = vec![start];
    for operand in &command.operands {
        let replaced =
            command.options.iter().filter(|option| option.names.iter().any(|name| operand.excludes.contains(name)));
        let mut others: Vec<String> = Vec::new();
        for option in replaced {
            let value = option.value().map(|value| format!(" {}", placeholder(value))).unwrap_or_default();
            others
                .extend(ways.iter().map(|way| format!("{way} {}{value}", bold(option.names.last().expect("a name")))));
        }
        let usage = usage(operand);
        for way in &mut ways {
            way.push(' ');
            way.push_str(&usage);
        }
        ways.extend(others);
    }
    ways.join("\n.br\n") + "\n"
}

fn usage(operand: &Operand) -> String {
    let placeholder = placeholder(&operand.value);
    if operand.value.kind == Kind::Command {
        return format!("[{}] {placeholder} [\\fIARGUMENT\\fR]...", bold("--"));
    }
    let dots = if operand.repeated { "..." } else { "" };
    // An operand that an option can replace is required without that option.
    if operand.required || !operand.excludes.is_empty() { placeholder + dots } else { format!("[{placeholder}]{dots}") }
}

fn subcommands(command: &Command) -> String {
    let described = command.subcommands.iter().filter(|subcommand| !subcommand.options.is_empty()).map(|subcommand| {
        let page = format!("`cb-{}`(1)", subcommand.name);
        format!(".TP\n{}\n{}", bold(&subcommand.name), lines(&format!("{}; see {page}.", subcommand.about)))
    });
    described.collect()
}

fn arguments(command: &Command) -> String {
    let described = command.operands.iter().map(|operand| {
        let dots = match operand.value.kind {
            Kind::Command => " [\\fIARGUMENT\\fR]...",
            _ if operand.repeated => "...",
            _ => "",
        };
        format!(".TP\n{}{dots}\n{}", placeholder(&operand.value), lines(&operand.help))
    });
    described.collect()
}

/// The options, under the headings of the help.
fn options(command: &Command) -> String {
    let mut headings = vec![None];
    for option in &command.options {
        if !headings.contains(&option.heading) {
            headings.push(option.heading.clone());
        }
    }
    let mut text = String::new();
    for heading in headings {
        text.extend(heading.iter().map(|heading| format!(".SS {heading}\n")));
        text.extend(command.options.iter().filter(|option| option.heading == heading).map(option));
    }
    text
}

fn option(option: &Opt) -> String {
    let names: Vec<String> = option.names.iter().map(|name| bold(name)).collect();
    let value = match &option.takes {
        Takes::Nothing => String::new(),
        Takes::Attached(value) => format!("[={}]", placeholder(value)),
        Takes::Next(value) => format!(" {}", placeholder(value)),
    };
    format!(".TP\n{}{value}\n{}", names.join(", "), lines(&option.help))
}

/// The placeholder of a value. Words that are meant literally are bold.
fn placeholder(value: &Value) -> String {
    let word = |word: &str| match &value.kind {
        Kind::Words(words) if words.iter().any(|known| known == word) => bold(word),
        _ => format!("\\fI{word}\\fR"),
    };
    value.placeholder.split('|').map(word).collect::<Vec<_>>().join("|")
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", literal(text))
}

/// Text to be typed or copied: every character stays itself on the page.
fn literal(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Prose: `this` is literal and bold, *this* is a placeholder.
fn inline(text: &str) -> String {
    let mut converted = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            converted.push_str(&bold(part));
            continue;
        }
        for (index, part) in part.split('*').enumerate() {
            let words = part.split(' ').map(|word| {
                // The word is an option without marks.
                let option = word.trim_start_matches(['(', '[', '\'']).starts_with('-');
                if option { literal(word) } else { word.replace('\\', "\\e") }
            });
            let words = words.collect::<Vec<_>>().join(" ");
            let (start, end) = if index % 2 == 1 { ("\\fI", "\\fR") } else { ("", "") };
            converted.extend([start, &words, end]);
        }
    }
    converted
}

/// A paragraph in lines of moderate length, none of which looks like a request of roff.
fn lines(paragraph: &str) -> String {
    let mut text = String::new();
    let mut length = 0;
    for word in inline(paragraph).split_whitespace() {
        if length > 0 && length + 1 + word.len() > 80 {
            text.push('\n');
            length = 0;
        }
        if length > 0 {
            text.push(' ');
        } else if word.starts_with(['.', '\'']) {
            text.push_str("\\&");
        }
        text.push_str(word);
        length += 1 + word.len();
    }
    text + "\n"
}

/// The parts of a text that begin with `# HEADING`. Within a fence that is a comment.
pub fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections = Vec::<(String, String)>::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with(FENCE);
        let heading = line.strip_prefix("# ").filter(|_| !fenced);
        match (heading, sections.last_mut()) {
            (Some(heading), _) => sections.push((heading.to_owned(), String::new())),
            (None, Some(section)) => section.1.extend([line, "\n"]),
            (None, None) => assert!(line.is_empty(), "{line:?} stands before the first heading"),
        }
    }
    sections
}

/// The mark around literal text, in which empty lines stay.
const FENCE: &str = "```";

/// The number of a rule, like `1.3`, and its text, if the paragraph is a rule.
pub fn rule(paragraph: &str) -> Option<(&str, &str)> {
    let (number, rule) = paragraph.split_once(' ')?;
    let (section, place) = number.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(section) && is_number(place)).then_some((number, rule))
}

/// A section: paragraphs; `## SUBSECTIONS`; literal text, fenced or indented by four; `1.3 Rules`; and `: this`, which
/// explains the line before it, and below a rule belongs to that rule.
fn body(text: &str) -> String {
    let mut body = String::new();
    let mut in_rule = false;
    // Every second part is fenced, and its first line names the language.
    for (index, part) in text.split(FENCE).enumerate() {
        if index % 2 == 1 {
            body += &verbatim(part.lines().skip(1));
            continue;
        }
        for block in part.trim_matches('\n').split("\n\n") {
            if let Some(title) = block.strip_prefix("## ") {
                writeln!(body, ".SS {}", inline(title)).expect("a string");
            } else if block.starts_with("    ") {
                body += &verbatim(block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)));
            } else if let Some((term, explanation)) = block.split_once("\n: ") {
                let explained = format!(".TP\n{}\n{}", inline(term), lines(explanation));
                let (start, end) = if in_rule { (".RS\n", ".RE\n") } else { ("", "") };
                body.extend([start, &explained, end]);
            } else if let Some((number, rule)) = rule(block) {
                in_rule = true;
                write!(body, ".TP\n{}\n{}", bold(number), lines(rule)).expect("a string");
            } else if !block.is_empty() {
                let below_title = body.lines().last().is_some_and(|line| line.starts_with(".SS "));
                let macros = if below_title { "" } else { ".PP\n" };
                write!(body, "{macros}{}", lines(block)).expect("a string");
            }
        }
    }
    body
}

/// Literal lines.
fn verbatim<'text>(lines: impl Iterator<Item = &'text str>) -> String {
    let code = lines.map(|line| {
        let line = literal(line);
        if line.starts_with(['.', '\'']) { format!("\\&{line}\n") } else { line + "\n" }
    });
    format!(".PP\n.RS 4\n.nf\n{}.fi\n.RE\n", code.collect::<String>())
}
