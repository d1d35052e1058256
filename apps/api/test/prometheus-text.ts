/** A sample of Prometheus' text format. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric with what stands before its samples. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const HELP = /^# HELP (\S+) (.+)$/;
const TYPE = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/;
const SAMPLE = /^([^\s{]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;

/**
 * Reads the format as strictly as it is written down: https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * @throws Error at the first line that a scraper would stumble over
 */
export function readPrometheus(text: string): readonly Family[] {
  if (!text.endsWith("\n")) throw new Error("The last line does not end.");
  const families: { name: string; help: string; type: string; samples: Sample[] }[] = [];
  const seen = new Set<string>();
  for (const line of text.split("\n")) {
    const [, helped, help] = HELP.exec(line) ?? [];
    const [, typed, type] = TYPE.exec(line) ?? [];
    const family = families.at(-1);
    if (line === "") continue;
    if (helped !== undefined && help !== undefined) {
      if (!NAME.test(helped) || families.some(({ name }) => name === helped)) throw new Error(line);
      families.push({ name: helped, help, type: "", samples: [] });
    } else if (typed !== undefined && type !== undefined) {
      if (family?.name !== typed || family.type !== "") throw new Error(line);
      family.type = type;
    } else {
      const sample = readSample(line);
      const id = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (!family || !namesOf(family).includes(sample.name) || seen.has(id)) throw new Error(line);
      seen.add(id);
      family.samples.push(sample);
    }
  }
  return families;
}

function namesOf({ name, type }: Pick<Family, "name" | "type">): readonly string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function readSample(line: string): Sample {
  const [, name = "", all = "", value = ""] = SAMPLE.exec(line) ?? [];
  const labels: Record<string, string> = {};
  for (let rest = all; rest !== ""; ) {
    const [whole, label, content] = LABEL.exec(rest) ?? [];
    if (whole === undefined || label === undefined || content === undefined || label in labels) {
      throw new Error(line);
    }
    labels[label] = content;
    rest = rest.slice(whole.length);
  }
  if (!NAME.test(name) || value === "" || Number.isNaN(Number(value.replace("+Inf", "Infinity")))) {
    throw new Error(line);
  }
  return { name, labels, value: Number(value.replace("+Inf", "Infinity")) };
}
