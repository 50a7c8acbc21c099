-- Turns a document of docs/ into a man page: NAME from the metadata, the part before the first
-- heading as SYNOPSIS (a leading code block) and DESCRIPTION, tables of meanings as definition
-- lists, and links to other documents as references to their pages.

local pages = {
  ["immured.md"] = {"immured", "8"},
  ["immured.conf.md"] = {"immured.conf", "5"},
  ["immure-proxy.md"] = {"immure-proxy", "8"},
  ["immure-proxy.conf.md"] = {"immure-proxy.conf", "5"},
  ["immure.md"] = {"immure", "1"},
  ["immure-storm.md"] = {"immure-storm", "1"},
  ["immure-provider.md"] = {"immure-provider", "7"},
}

local function link(element)
  local file = element.target:gsub("#.*", ""):gsub("^.*/", "")
  local page = pages[file]
  if not page and (file:match("^immure_.*%.md$") or file == "libimmure.md") then
    page = {pandoc.utils.stringify(element.content), "3"}
  end
  if page then
    return {pandoc.Strong(page[1]), pandoc.Str("(" .. page[2] .. ")")}
  end
  if not element.target:match("^https?:") then
    return element.content
  end
end

-- Allows line breaks after the colons of a long list, such as one of ciphers.
local function code(element)
  if #element.text <= 60 or not element.text:find(":") then
    return nil
  end
  local pieces = {}
  for piece in element.text:gmatch("[^:]+:?") do
    if #pieces > 0 then
      table.insert(pieces, pandoc.RawInline("man", "\\:"))
    end
    table.insert(pieces, pandoc.Code(piece))
  end
  return pieces
end

local function cell_inlines(cell)
  return pandoc.utils.blocks_to_inlines(cell.contents)
end

-- "directive (values; default ...)" as term, the meaning below it.
local function term_and_meaning(heads, cells)
  local term, before = cell_inlines(cells[1]), " ("
  for i = 2, #cells - 1 do
    local text = pandoc.utils.stringify(cell_inlines(cells[i]))
    if text ~= "" then
      term:insert(pandoc.Str(before))
      before = "; "
      if heads[i] == "default" and text ~= "required" then
        term:insert(pandoc.Str("default "))
      end
      term:extend(cell_inlines(cells[i]))
    end
  end
  if before ~= " (" then
    term:insert(pandoc.Str(")"))
  end
  return {term, {{pandoc.Plain(cell_inlines(cells[#cells]))}}}
end

local function table_of_meanings(element)
  local heads = {}
  for i, cell in ipairs(element.head.rows[1].cells) do
    heads[i] = pandoc.utils.stringify(cell_inlines(cell))
  end
  if heads[#heads] ~= "meaning" then
    return nil
  end
  local items = {}
  for _, row in ipairs(element.bodies[1].body) do
    table.insert(items, term_and_meaning(heads, row.cells))
  end
  return pandoc.DefinitionList(items)
end

local function heading(text)
  return pandoc.Header(1, pandoc.Str(text))
end

local function title_and_sections(document)
  local meta, blocks = document.meta, document.blocks
  local out = pandoc.List({
    heading("NAME"),
    pandoc.Para({pandoc.Str(pandoc.utils.stringify(meta.names) .. " - "
      .. pandoc.utils.stringify(meta.what))}),
  })
  assert(blocks[1].t == "Header" and blocks[1].level == 1, "a document begins with its title")
  local next = 2
  if blocks[next] and blocks[next].t == "CodeBlock" then
    out:extend({heading("SYNOPSIS"), blocks[next]})
    next = next + 1
  end
  if blocks[next] and blocks[next].t ~= "Header" then
    out:insert(heading("DESCRIPTION"))
  end
  for i = next, #blocks do
    local block = blocks[i]
    if block.t == "Header" then
      block.level = block.level - 1
      if block.level == 1 then
        block = block:walk({Str = function(s) return pandoc.Str(pandoc.text.upper(s.text)) end})
      end
    end
    out:insert(block)
  end
  document.blocks = out
  return document
end

return {{Code = code, Link = link, Table = table_of_meanings}, {Pandoc = title_and_sections}}
