import type { Key } from "../words/index.svelte";

export const MOST_FILES = 10;
export const LARGEST = 10 * 1024 * 1024;
/** What the button offers; what is dropped is looked at by the API alone. */
export const ENDINGS = ".pdf,.png,.jpg,.jpeg,.webp,.txt,.log,.csv,.docx,.xlsx,.pptx,.odt,.ods";

/**
 * A file that was chosen. `id`: once it arrived; `part`: how much of it has gone; `problem`: why it did
 * not arrive; `again`: whether another try may help.
 */
export type Attached = {
  key: number;
  file: File;
  name: string;
  size: number;
  id: string | null;
  part: number;
  problem: string;
  again: boolean;
};

let keys = 0;
export const attached = (file: File): Attached => {
  keys += 1;
  return { key: keys, file, name: file.name, size: file.size, id: null, part: 0, problem: "", again: false };
};

export const idsOf = (files: readonly Attached[]): string[] => files.flatMap((one) => one.id ?? []);

/** Why what was written can't be sent yet; null: it can. */
export function waitsFor(files: readonly Attached[]): Key | null {
  if (files.some((one) => one.problem)) return "frame.file_failed";
  return files.some((one) => !one.id) ? "frame.file_under_way" : null;
}

/** How many of these are taken beside those that are there. */
export const roomFor = (there: number, more: number): number => Math.max(0, Math.min(more, MOST_FILES - there));

/** As "96 KB" or "1.2 MB". */
export function sizeOf(bytes: number, language: string): string {
  const [unit, name, digits] = bytes < 1024 * 1024 ? [1024, "KB", 0] : [1024 * 1024, "MB", 1];
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: digits });
  return `${number.format(Math.max(bytes / unit, bytes ? 1 : 0))}\u00a0${name}`;
}
