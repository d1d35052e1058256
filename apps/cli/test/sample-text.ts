/** A plain text with chapters, different for each name, so that tests do not share answers. */
export function sampleText(name: string, chapters: number): string {
  const numbered = Array.from({ length: chapters }, (_, at) => at + 1);
  return numbered.map((number) => `CHAPTER ${number}\n\n${paragraphs(name, number)}`).join("\n\n\n");
}

const DEEDS = [
  "carried the great brass lamp up the winding stairs before the storm came in from the north",
  "counted the ships that passed the point and wrote each of their names into the long ledger",
  "found a letter under the loose board, and the letter was older than anyone in the village",
  "asked the fisherman about the light that had burned on the reef when nobody was there to tend it",
  "mended the broken window with tar and canvas while the wind pulled at every rope in the yard",
  "told the children the story of the drowned bell, which rings, they say, before a death",
];

function paragraphs(name: string, number: number): string {
  return DEEDS.map(
    (deed, at) =>
      `On day ${number * 10 + at} of that winter ${name} ${deed}. It was work of ${at + 2} hours, and ${name} never spoke of it. ` +
      `The people of the coast remembered chapter ${number} of the matter differently, as people do.`,
  ).join("\n\n");
}
