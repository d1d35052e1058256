import { describe, expect, test } from "@jest/globals";
import { detectFormat, SUPPORTED_FORMATS } from "../src/detect.ts";
import { buildEpub, sampleFiles, zip } from "./build-epub.ts";

const SAMPLE = { documents: { "a.xhtml": "<p>Text.</p>" } };

describe("detectFormat", () => {
  test("an EPUB is told by its first entry", async () => {
    expect(detectFormat(await buildEpub(SAMPLE))).toBe("epub");
  });

  test("an EPUB zipped without its mimetype is told by its files", async () => {
    const files = sampleFiles(SAMPLE);
    files.delete("mimetype");
    expect(detectFormat(await zip(files))).toBe("epub");
  });

  test.each([
    ["a word processor's document", "[Content_Types].xml", "<Types/>"],
    ["a program", "META-INF/MANIFEST.MF", "Manifest-Version: 1.0"],
    ["an OpenDocument text", "mimetype", "application/vnd.oasis.opendocument.text"],
    ["some other archive", "holiday/beach.jpg", "jpeg"],
  ])("%s is not an EPUB", async (_, name, content) => {
    expect(detectFormat(await zip([[name, Buffer.from(content)]]))).toBeNull();
  });

  test.each([
    ["UTF-8", Buffer.from("Es war einmal … größer")],
    ["UTF-8 cut inside of a letter", Buffer.from("größer").subarray(0, 3)],
    ["UTF-8 with a mark", Buffer.from("\ufeffOnce")],
    ["UTF-16 with a mark", Buffer.from("\ufeffOnce upon", "utf16le")],
    ["UTF-16, the other way round", Buffer.from("\ufeffOnce upon", "utf16le").swap16()],
    ["a legacy encoding", Buffer.from([0x8d, 0xa5, 0xe1, 0xaa, 0xae, 0x20, 0xab, 0xa5, 0xe2, 0x0d, 0x0a])],
    ["an old Gutenberg file", Buffer.from("**Welcome To The World of Free Plain Vanilla Electronic Texts**")],
  ])("%s is text", (_, head) => {
    expect(detectFormat(head)).toBe("text");
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a PDF", Buffer.from("%PDF-1.7\n1 0 obj")],
    ["a PDF behind junk", Buffer.from("junk\n%PDF-1.4")],
    ["a PNG", Buffer.from("\x89PNG\r\n\x1a\n", "latin1")],
    ["a JPEG", Buffer.from([0xff, 0xd8, 0xff, 0xe0])],
    ["a program", Buffer.from("\x7fELF\x02\x01\x01")],
    ["a gzip", Buffer.from([0x1f, 0x8b, 8])],
    ["a MOBI", Buffer.from(`${"A_title".padEnd(60, "x")}BOOKMOBI`)],
    ["an RTF", Buffer.from("{\\rtf1\\ansi Text}")],
    ["an HTML page", Buffer.from("\n<!DOCTYPE html><html>")],
    ["an HTML page in UTF-16", Buffer.from("\ufeff<html><body>", "utf16le")],
    ["an FB2", Buffer.from('<?xml version="1.0"?><FictionBook>')],
    ["text with zero bytes", Buffer.from("a\0b")],
    ["control characters", Buffer.from("\x01\x02\x03\x04abcdefgh")],
    ["a cut ZIP", Buffer.from("PK\x03\x04")],
  ])("%s is nothing that we read", (_, head) => {
    expect(detectFormat(head)).toBeNull();
  });

  test("only the first 4,096 bytes are looked at", () => {
    expect(detectFormat(Buffer.concat([Buffer.alloc(4096, "a"), Buffer.alloc(100)]))).toBe("text");
  });

  test("each format that is told is listed", () => {
    expect(SUPPORTED_FORMATS.map(({ format }) => format)).toEqual(["epub", "text"]);
  });
});
