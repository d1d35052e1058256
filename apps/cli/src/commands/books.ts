import type { Command } from "commander";
import { connect, type ServerOptions } from "../connect.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal, table } from "../terminal.ts";

interface BooksOptions extends ServerOptions {
  readonly limit: string;
  readonly json?: boolean;
}

export function addBooks(program: Command, terminal: Terminal): void {
  const command = program
    .command("books")
    .description("list books, the newest first")
    .option("--limit <number>", "at most so many", "20")
    .option("--json", "print the list as JSON")
    .action(async (options: BooksOptions) => {
      await using connection = await connect(terminal, options, { work: false });
      const page = await connection.client.books(null, options.limit);
      if (options.json) return terminal.out(`${JSON.stringify(page, null, 2)}\n`);
      const rows = page.data.map((book) => [
        book.id,
        printable(book.status),
        String(book.chapter_count),
        printable(book.title ?? book.file_name ?? ""),
        printable(book.authors.join(", ")),
      ]);
      terminal.out(
        rows.length === 0
          ? "No books.\n"
          : table([["BOOK", "STATUS", "CHAPTERS", "TITLE", "AUTHORS"], ...rows]),
      );
    });
  serverOptions(command);
}
