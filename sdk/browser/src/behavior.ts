// For applications to include: how the pointer moves, and nothing else.

import { measure, tagOf, wantedBy } from "./measure.ts";

const tag = tagOf(import.meta.url);
if (tag) measure(wantedBy(tag.dataset, ["pointer"]));
