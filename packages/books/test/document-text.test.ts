import { describe, expect, test } from "@jest/globals";
import { toc } from "./build-epub.ts";
import { parseSample } from "./parse.ts";

async function textOf(body: string): Promise<string | undefined> {
  const book = await parseSample({ documents: { "a.xhtml": body }, nav: toc([["A", "a.xhtml"]]) });
  return book.chapters[0]?.text;
}

describe("paragraphs", () => {
  test.each([
    ["white space collapses", "<p>A\n  b&nbsp;\tc </p>\n\n<p>D</p>", "A b c\n\nD"],
    ["inline elements do not part words", "<p>un<b>break</b>able <i>word</i></p>", "unbreakable word"],
    ["headings stand apart", "<h1>T</h1>text<h2>U</h2>", "T\n\ntext\n\nU"],
    ["verse keeps its lines", "<p>Rose is<br/>a rose<br></br>is</p>", "Rose is\na rose\n\nis"],
    ["two line breaks end a paragraph", "<p>One.<br/><br/>Two.</p>", "One.\n\nTwo."],
    [
      "lists give their items",
      "<ul><li>a<ol><li>b</li><li><p>c</p></li></ol></li><li>d</li></ul>",
      "a\n\nb\n\nc\n\nd",
    ],
    [
      "tables give their rows",
      "<table><tr><th>Name</th><th>Age</th></tr><tr><td><p>Ann</p></td><td>7</td></tr></table><p>End</p>",
      "Name | Age\nAnn | 7\n\nEnd",
    ],
    ["tables of pictures give nothing", "<table><tr><td><img/></td><td></td></tr></table><p>End</p>", "End"],
    ["preformatted lines stay", "<pre>one\n  two\n\nthree</pre>", "one\ntwo\n\nthree"],
    [
      "scripts, styles and hidden parts are no text",
      "<style>p{}</style><p hidden=''>x</p><script>a<b</script><p>y</p>",
      "y",
    ],
    ["readings beside characters are left out", "<p><ruby>漢<rt>かん</rt>字<rp>(</rp></ruby></p>", "漢字"],
    ["page numbers are left out", '<p>so<span epub:type="pagebreak" title="5">5</span> on</p>', "so on"],
    ["named entities and CDATA are read", "<p>caf&eacute; &mdash; <![CDATA[a < b]]></p>", "café — a < b"],
    ["soft hyphens and word joiners vanish", "<p>hy\u00adphen\u2060ate</p>", "hyphenate"],
    ["letters are composed", "<p>Cafe\u0301</p>", "Caf\u00e9"],
    [
      "an element closed by itself does not swallow the rest",
      "<p>a<script src='x'/>b</p><title/><p>c</p>",
      "ab\n\nc",
    ],
  ])("%s", async (_, body, text) => {
    expect(await textOf(body)).toBe(text);
  });
});

describe("notes", () => {
  test("footnotes leave the text and their marks do too", async () => {
    const book = await parseSample({
      documents: {
        "a.xhtml":
          '<p>Fact<a epub:type="noteref" href="#n1">1</a>, claim<sup><a role="doc-noteref" href="#n2">2</a></sup>.</p>' +
          '<aside epub:type="footnote" id="n2"><p>Second.</p><p>More.</p></aside>' +
          '<aside role="doc-footnote" id="n1">First. <a role="doc-backlink" href="#r">↩</a></aside><p>End.</p>',
      },
      nav: toc([["A", "a.xhtml"]]),
    });
    expect(book.chapters).toMatchObject([
      { text: "Fact, claim.\n\nEnd.", notes: ["First.", "Second.\n\nMore."] },
    ]);
  });

  test("endnotes of another document go to the chapter that mentions them", async () => {
    const book = await parseSample({
      documents: {
        "1.xhtml": '<p>One<a epub:type="noteref" href="notes.xhtml#b">b</a></p>',
        "2.xhtml": '<p>Two<a epub:type="noteref" href="notes.xhtml#a">a</a></p>',
        "notes.xhtml":
          '<section epub:type="endnotes"><h2>Notes</h2><ol><li id="a">About two.</li><li id="b">About one.</li><li id="c">Nobody.</li></ol></section>',
      },
      nav: toc([
        ["1", "1.xhtml"],
        ["2", "2.xhtml"],
        ["Notes", "notes.xhtml"],
      ]),
    });
    expect(book.chapters.map(({ kind, text, notes }) => [kind, text, notes])).toEqual([
      ["body", "One", ["About one."]],
      ["body", "Two", ["About two."]],
      ["back", "Notes", ["Nobody."]],
    ]);
  });

  test("raised numbers that link somewhere are marks in older books, other links are words", async () => {
    const text = await textOf(
      '<p>A<sup><a href="#f1">12</a></sup> b<a class="footnote-ref" href="#f2"><sup>*</sup></a> c <a href="#d">13</a> and <a href="#e">chapter</a> x<sup>2</sup></p>',
    );
    expect(text).toBe("A b c 13 and chapter x2");
  });
});
