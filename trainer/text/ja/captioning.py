"""画像の説明(タガー、キャプショナー、サーバー、WebUIのInterrogator)の文。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- 項目
        "captioning.field_too_long": "{most} 文字以内で入力してください",
        "captioning.field_no_text": "文字でないものが含まれています",
        # ---- 選択肢
        "captioning.tagger": "{name}(タグ)",
        "captioning.captioner": "{name}(文章)",
        "captioning.of_webui": "このWebUIの {name}",
        "captioning.nothing_found": (
            "タガーもキャプショナーも見つかりません。フォルダーごと {folder} に置いてください。タガーには "
            "model.onnx と selected_tags.csv が、キャプショナーには配布ページのすべてのファイルが必要です。"
            "サーバーのアドレスも指定できます。"
        ),
        "captioning.choose_one": "複数見つかりました。次から選んでください: {known}。",
        "captioning.no_model": (
            "この名前のタガーやキャプショナーはありません。フォルダーごと {folder} に置くか、"
            "次から選んでください: {known}。"
        ),
        "captioning.no_model_at_all": (
            "この名前のタガーやキャプショナーはありません。フォルダーごと {folder} に置いてください。"
        ),
        "captioning.no_model_in": (
            "このフォルダーには、タガー(model.onnx と selected_tags.csv)も、使えるキャプショナー({known})もありません。"
        ),
        "captioning.no_interrogator": "このWebUIにそのInterrogatorはありません。あるのは {known} です。",
        "captioning.no_interrogator_here": "InterrogatorはWebUIの機能で、TrainyardをWebUIなしで使うときはありません。",
        # ---- ONNXのタガー
        "captioning.needs_package": (
            "{what} にはパッケージ {package} が必要ですが、ここでは使えません({reason})。"
            "次のコマンドで入れてください: pip install {package}"
        ),
        "captioning.no_onnx": (
            "フォルダーにONNXファイルがありません。タガーはこの形式だけを読みます。ほかのファイルと同じ配布ページから "
            "model.onnx を入手してください。"
        ),
        "captioning.several_onnx": (
            "フォルダーにONNXファイルが複数あります({names})。使うものの名前を model.onnx にしてください。"
        ),
        "captioning.bad_table": "タグの表ではありません。行がないか、name と category の列がありません。",
        "captioning.onnx_broken": "ONNXファイルを読み込めません: {reason}",
        "captioning.other_input": (
            "画像の受け取り方({shape})がWD14系のタガー(正方形で、3色が最後)と違うため、使えません。"
        ),
        "captioning.other_count": (
            "モデルのタグは {count} 個ですが、{file} には {rows} 個あります。どちらかが別のタガーのファイルです。"
        ),
        "captioning.onnx_failed": "タガーの計算に失敗しました: {reason}",
        "captioning.not_a_number": "タガーの答えが数値になりません。ファイルが壊れているのかもしれません。",
        # ---- キャプショナー
        "captioning.unknown_kind": "使えるキャプショナー({known})のどれでもありません。",
        "captioning.own_code": (
            "このキャプショナーは独自のプログラムを含み、Trainyardはそれを実行しません。transformersがそのまま読める形式の"
            "同じモデルを使ってください。Florence-2なら florence-community のものです。"
        ),
        "captioning.no_safetensors": (
            "safetensors形式の重みがありません。ほかの形式はプログラムを含み得るため読みません。ほかのファイルと同じ"
            "配布ページから model.safetensors を入手してください。"
        ),
        "captioning.too_old": "{kind} が必要ですが、今のtransformers {version} にはありません。更新してください。",
        "captioning.not_loaded": "読み込めません: {reason}",
        "captioning.weights_missing": (
            "重みが {count} 個足りません(最初は {name})。ファイルがそろっていないか、別のモデルのものです。"
        ),
        "captioning.no_prompt": "このキャプショナーはプロンプトを使えません。空欄にしてください。",
        "captioning.failed": "キャプショナーの計算に失敗しました: {reason}",
        "captioning.memory": (
            "画像を説明するにはメモリーが足りません。ほかのプログラムを閉じるか、小さいモデルを選んでください。"
        ),
        # ---- サーバー
        "captioning.no_address": "サーバーのアドレスではありません。http://127.0.0.1:1234/v1 のように書いてください。",
        "captioning.no_such_host": "{name} というコンピューターが見つかりません。アドレスを確かめてください。",
        "captioning.address_is_public": (
            "{name} は自分のネットワークの外にあり、画像がそこへ送られてしまいます。このコンピューターか自分の"
            "ネットワークのサーバーを使ってください。コマンドラインでは --anywhere を付ければ外のサーバーも使えます。"
        ),
        "captioning.not_reached": "サーバーに接続できません({reason})。起動するか、アドレスを確かめてください。",
        "captioning.no_answer": "サーバーが {seconds} 秒以内に答えませんでした。",
        "captioning.refused": "サーバーに断られました(状態 {status}): {answer}",
        "captioning.strange_answer": "サーバーの答えがチャット補完の形ではありません: {answer}",
        "captioning.no_model_there": "サーバーにモデルがありません。読み込むか、名前を書いてください。",
        # ---- Interrogator
        "captioning.interrogator_failed": "WebUIのInterrogatorが失敗しました: {reason}",
        "captioning.interrogator_error": (
            "WebUIのInterrogatorが失敗しました。理由はWebUIのコンソールにあります。初めて使うときはモデルを"
            "ダウンロードします。"
        ),
        "captioning.training_has_device": (
            "LoRAを学習中で、WebUIのInterrogatorも同じデバイスを使います。終わるのを待つか、フォルダーのタガーを"
            "使ってください。その場合はCPUで動きます。"
        ),
        # ---- 作業
        "captioning.did": "{name} によるキャプション",
        "captioning.left_out": "そのまま残します",
        "captioning.changed_meanwhile": "その間に変更または移動されました",
        "captioning.on_cpu": "LoRAの学習中かメモリー不足のため、CPUで動いています。",
        "captioning.already": "すでに画像を説明しています。終わるのを待つか、停止を押してください。",
        "captioning.merged_without": "これを除いてまとめました",
        # ---- ダウンロード
        "captioning.fetch_no_address": (
            "ファイルやギャラリーのアドレスではありません。https://example.com/a.zip のように書いてください。"
        ),
        "captioning.fetch_no_name": "アドレスにファイル名がありません。",
        "captioning.fetch_refused": "サーバーに断られました(状態 {status})。",
        "captioning.fetch_broke_off": "途中で切れました({reason})。何も残していません。もう一度試してください。",
        "captioning.fetch_other_size": (
            "{expected} バイトのはずが {size} バイトでした。何も残していません。もう一度試してください。"
        ),
        "captioning.no_gallery_dl": (
            "ファイルではなくページです。ギャラリーのダウンロードには gallery-dl が必要ですが、入っていません: "
            "pip install gallery-dl"
        ),
    }
)  # fmt: skip
