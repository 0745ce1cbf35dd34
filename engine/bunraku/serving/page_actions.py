"""What the page asks for, as actions of the desk."""

from __future__ import annotations

from bunraku.errors import UserInputError
from bunraku.formats import control_action as actions
from bunraku.serving import messages
from bunraku.serving.effect_schema import check_visitor_settings
from bunraku.session.control.desk import ControlDesk
from bunraku.session.control.effect_rack import Slot

RESERVED = {"type", "lowest_tier"}
"""What a preset says of an effect besides its settings."""


def actions_of(message: messages.AnyMessage, desk: ControlDesk) -> list[actions.Action]:
    """To be done one after the other; none for what is not the desk's. Raises UserInputError."""
    match message:
        case messages.SetEffects():
            return [actions.Arrange(tuple(placed(one) for one in message.effects))]
        case messages.ChangeEffect():
            slot = slot_of(message.key, desk)
            check_visitor_settings(slot.effect.type, message.settings)
            return [
                actions.SetValue(actions.Target(slot.name, setting), value)
                for setting, value in message.settings.items()
            ]
        case messages.SetVoice():
            return [actions.ChooseVoice(message.model, tuple(message.effects))]
        case messages.ChoosePreset():
            return [actions.ChoosePreset(message.name)]
        case messages.Record():
            return [actions.Record("on" if message.on else "off")]
    return []


def placed(wanted: messages.WantedEffect) -> actions.PlacedEffect:
    for word in RESERVED & set(wanted.settings):
        raise UserInputError(f"{wanted.effect} has no setting '{word}'")
    check_visitor_settings(wanted.effect, wanted.settings)
    return actions.PlacedEffect(wanted.effect, wanted.settings, wanted.kept, wanted.on)


def slot_of(key: int, desk: ControlDesk) -> Slot:
    for slot in desk.state().effects:
        if slot.key == key:
            return slot
    raise UserInputError("this effect is no longer in the chain")
