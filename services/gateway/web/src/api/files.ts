import { base, Refused, Unreachable, type Problem, type Schemas } from "./client";

type Sent = Schemas["FileView"];
/** A file on its way: `stop` gives it up. */
export type Sending = { sent: Promise<Sent>; stop: () => void };

/** Send a file, and hear how much of it has gone (0 to 1), which `fetch` can't say. Fails with Refused or Unreachable. */
export function sendFile(file: File, gone: (part: number) => void): Sending {
  const request = new XMLHttpRequest();
  const sent = new Promise<Sent>((resolve, reject) => {
    request.upload.onprogress = (event) => event.lengthComputable && gone(event.loaded / event.total);
    request.onload = () => {
      const answer: unknown = request.response;
      if (request.status === 201) resolve(answer as Sent);
      else if (answer && typeof answer === "object" && "type" in answer) reject(new Refused(answer as Problem));
      else reject(new Unreachable(`the answer had the status ${request.status}`));
    };
    request.onerror = request.onabort = request.ontimeout = () => reject(new Unreachable("no answer came"));
  });
  const form = new FormData();
  form.append("file", file);
  request.open("POST", `${base}/v1/files`);
  request.responseType = "json";
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Paidup-CSRF", "1");
  request.send(form);
  return { sent, stop: () => request.abort() };
}

/** Where a file is downloaded: the API answers with a link that holds for minutes. */
export const downloadOf = (id: string): string => `${base}/v1/files/${id}`;
