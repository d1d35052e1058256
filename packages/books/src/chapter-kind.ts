import type { ChapterKind } from "./parsed-file.ts";

/** What the words of `epub:type` and of a guide say: https://www.w3.org/TR/epub-ssv-11/ */
const KIND_OF_TYPE: ReadonlyMap<string, ChapterKind> = new Map<string, ChapterKind>([
  ...kinds(
    "front",
    "frontmatter cover titlepage title-page halftitlepage halftitle copyright-page copyright dedication epigraph foreword " +
      "preface toc toc-brief landmarks loi lot loa lov page-list imprint imprimatur seriespage acknowledgments " +
      "acknowledgements contributors other-credits",
  ),
  ...kinds(
    "body",
    "bodymatter chapter part volume subchapter division prologue epilogue introduction conclusion afterword",
  ),
  ...kinds(
    "back",
    "backmatter appendix index index-group colophon glossary bibliography endnotes footnotes rearnotes notes errata credits",
  ),
]);

const FRONT_TITLES = words(
  "cover title page|titlepage|half title|half-title|halftitle|halftitlepage|front cover|cover|title|copyright|copyright page|imprint|" +
    "dedication|epigraph|foreword|preface|contents|table of contents|list of illustrations|illustrations|list of figures|" +
    "list of tables|acknowledgments|acknowledgements|also by the author|about this book|praise|front matter|frontmatter|" +
    "transcriber's note|publisher's note|editor's note|" +
    "couverture|page de titre|dédicace|avant-propos|préface|table des matières|sommaire|" +
    "titel|titelseite|umschlag|impressum|widmung|vorwort|inhalt|inhaltsverzeichnis|" +
    "portada|cubierta|dedicatoria|prólogo del editor|prefacio|índice general|contenido|" +
    "copertina|frontespizio|dedica|prefazione|indice|sommario|" +
    "обложка|титул|посвящение|предисловие|от автора|содержание|оглавление|封面|版权|版权页|目录|目錄|前言|序|自序|献辞|表紙|目次|はじめに|扉",
);

const BACK_TITLES = words(
  "appendix|appendices|index|colophon|uncopyright|glossary|bibliography|references|works cited|notes|endnotes|footnotes|" +
    "about the author|about the publisher|credits|errata|further reading|back cover|back matter|backmatter|" +
    "annexe|annexes|bibliographie|glossaire|notes de bas de page|anhang|anmerkungen|literaturverzeichnis|register|glossar|" +
    "über den autor|apéndice|notas|bibliografía|glosario|appendice|note|bibliografia|glossario|" +
    "приложение|приложения|примечания|комментарии|об авторе|указатель|附录|附錄|注释|注釋|索引|奥付|後記|关于作者",
);

const PARTITIONS = new Set(["frontmatter", "bodymatter", "backmatter"]);

/** The kind that these words tell, given innermost first: one of the book's three partitions, or else the nearest word. */
export function kindOfTypes(types: readonly string[]): ChapterKind | null {
  const partitions = types.filter((type) => PARTITIONS.has(type));
  for (const type of [...partitions, ...types]) {
    const kind = KIND_OF_TYPE.get(type);
    if (kind !== undefined) {
      return kind;
    }
  }
  return null;
}

/** The kind that a title tells, in the languages we know. */
export function kindOfTitle(title: string): ChapterKind | null {
  const plain = title
    .toLowerCase()
    .replaceAll("’", "'")
    .replace(/[.:\s]+$/u, "")
    .trim();
  if (FRONT_TITLES.has(plain)) {
    return "front";
  }
  const isNumberedAppendix =
    /^(?:appendix|anhang|annexe|apéndice|приложение)\s+[\p{L}\d]{1,4}(?![\p{L}\d])/u.test(plain);
  return BACK_TITLES.has(plain) || isNumberedAppendix ? "back" : null;
}

function kinds(kind: ChapterKind, types: string): [string, ChapterKind][] {
  return types.split(" ").map((type) => [type, kind]);
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split("|"));
}
